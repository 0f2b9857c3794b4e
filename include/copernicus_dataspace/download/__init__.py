"""Downloads: transports, resuming, and file lists of products."""
