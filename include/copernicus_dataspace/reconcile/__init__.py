"""Reconciles an archive: compares it with the catalogue, and repairs the differences."""
