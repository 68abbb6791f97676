"""The queue on RabbitMQ: a file a noun, `queue.py` puts them together. docs/queue.md is the page about it."""
