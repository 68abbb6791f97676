"""Deliveries: which job is to be worked on next. Carries ids, never jobs."""
