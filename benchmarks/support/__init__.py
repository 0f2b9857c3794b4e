"""Shared code of the measurements."""
