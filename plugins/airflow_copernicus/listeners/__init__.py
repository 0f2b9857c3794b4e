"""What happens at the start of a scheduler or a worker."""
