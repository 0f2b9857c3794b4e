"""Removal of products: what may be removed, what a person approves, and the quarantine."""
