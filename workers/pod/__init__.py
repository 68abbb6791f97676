"""What runs beside a user's script in its pod, in containers of our image. Thin over `gateway.staging` and
the launcher's staging.

It begins anew in every pod, so it imports the standard library and little of ours: no pydantic, no structlog.
"""
