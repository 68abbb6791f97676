"""The HTTP API: each route through its public face, over real embedded backends."""
