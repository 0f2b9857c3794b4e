"""Configuration: params, ingest files, environment variables and allowed outputs."""
