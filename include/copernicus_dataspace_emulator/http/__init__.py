"""HTTP messages and what answers before a service does."""
