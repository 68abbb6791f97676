"""What we do: one verb a file. Actions know roles, never technologies, and nothing of HTTP."""
