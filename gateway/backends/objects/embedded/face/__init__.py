"""The S3 face: what S3 clients of every kind speak to the embedded store.

An ASGI app of its own; see `app.build_face`.
"""
