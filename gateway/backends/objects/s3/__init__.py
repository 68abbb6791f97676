"""The `Objects` role over any S3 store: MinIO, versitygw, AWS. Its HTTP is spoken here, not by an SDK: see
docs/architecture.md."""
