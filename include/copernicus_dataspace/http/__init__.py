"""HTTP: the client that opens all sockets, responses, and the mapping of failures to errors."""
