"""What things are. Pure: no I/O, no clock, no environment; the standard library, pydantic and PyYAML only."""
