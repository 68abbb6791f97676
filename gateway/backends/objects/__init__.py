"""Buckets and what is in them."""
