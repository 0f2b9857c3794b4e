"""The S3 service."""
