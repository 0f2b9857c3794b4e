"""Notifications about failed and late days."""
