"""The download service."""
