"""Removal of products: candidates, approval by a person, and quarantine."""
