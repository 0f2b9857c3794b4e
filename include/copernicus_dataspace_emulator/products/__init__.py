"""Products: synthetic ones, and those of real zip files."""
