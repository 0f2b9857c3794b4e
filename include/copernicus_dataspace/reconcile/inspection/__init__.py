"""Finds what an archive lacks or holds wrongly; changes nothing."""
