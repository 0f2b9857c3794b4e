"""Inspects an archive: which products are missing, damaged or no longer wanted; read-only."""
