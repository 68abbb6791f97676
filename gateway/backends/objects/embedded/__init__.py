"""The embedded object store: durable, over one directory, with an S3 face of its own (`face`)."""
