"""Reports about an archive: as text, as HTML, and read back."""
