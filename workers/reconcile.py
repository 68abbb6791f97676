"""Reconcile: list the input buckets, so that no file in them is forgotten."""

from functools import partial

from gateway.actions.reconcile_buckets import reconcile_buckets
from gateway.backends.connect import Backends
from workers.periodic import repeat


async def reconcile(backends: Backends) -> None:
    """For ever, first at once: a file that arrived while nobody was there is found at the start; and as soon
    as the store is back after it was away."""
    step = partial(reconcile_buckets, backends)
    every_s = backends.settings.reconcile_every_s
    await repeat(step, every_s=every_s, name="reconcile_buckets", sooner=backends.objects.resumed)
