"""HTTP: the only sockets of the library, responses, and what an error of the service means."""
