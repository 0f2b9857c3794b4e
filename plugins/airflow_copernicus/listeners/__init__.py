"""Code that runs at the start of a scheduler or a worker."""
