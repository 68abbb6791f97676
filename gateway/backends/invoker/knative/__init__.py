"""Calls answered by Knative: a Knative Service for each of ours, its pods as `manifest.py` has them."""
