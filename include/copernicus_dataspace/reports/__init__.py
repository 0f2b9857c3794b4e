"""Reports about an archive: as text and as HTML, and a reader for stored reports."""
