"""Downloads: transports, resuming, and which files a product holds."""
