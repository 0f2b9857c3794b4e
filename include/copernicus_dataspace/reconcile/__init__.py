"""Repairs an archive: what should be held, compared with what is, and the differences resolved."""
