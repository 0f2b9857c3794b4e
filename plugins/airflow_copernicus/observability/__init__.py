"""Metrics and OpenLineage."""
