"""The loops of a worker."""
