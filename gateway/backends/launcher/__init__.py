"""Starts attempts and tells how they ended."""
