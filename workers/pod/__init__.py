"""What runs beside a script in its own pod, in containers of our image: staging in and out. Thin over
`gateway.staging` and the launcher's staging.

It begins anew in every pod, so it imports the standard library and little of ours: no pydantic, no structlog,
no HTTP library.
"""
