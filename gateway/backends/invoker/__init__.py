"""Answers calls."""
