"""HTTP messages, byte ranges, gateway errors and rate limits."""
