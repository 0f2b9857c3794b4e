"""Authentication: tokens of the identity service, and the session that processes share."""
