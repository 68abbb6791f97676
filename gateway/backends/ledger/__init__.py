"""The record of jobs and attempts: the truth about what was accepted."""
