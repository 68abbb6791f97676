"""Headers as they stand on the wire."""

Headers = list[tuple[bytes, bytes]]
"""In their order, repeated names kept; names are lower case."""
