"""Untrusted zips of products, read from a file or from a stream."""
