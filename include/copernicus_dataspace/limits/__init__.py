"""Limits of the account: retries, concurrent transfers, and what the processes of a host share."""
