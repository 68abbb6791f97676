"""The wire: how HTTP/1.1 reaches our ASGI apps. uvicorn runs the sockets; the protocol on them is ours, since
half of what a passed-on call costs is here: one write an answer, no timer a request, heads that are bounded,
and word of a client's leaving to whoever works for it."""
