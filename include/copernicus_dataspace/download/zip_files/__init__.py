"""Zip archives that may be hostile: read from a file, or while they arrive."""
