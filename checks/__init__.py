"""What vmtune judges: one module a subject, one function a check."""
