"""What vmtune costs, measured against the bare work in one run: `make bench`."""
