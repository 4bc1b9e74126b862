"""What vmtune sets: one TOML file a profile."""
