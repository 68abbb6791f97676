"""Remove a bucket, with everything in it."""

from gateway.actions.find_bucket import require_owned_bucket
from gateway.backends.connect import Backends
from gateway.backends.identity.protocol import Caller


async def remove_bucket(backends: Backends, name: str, caller: Caller) -> None:
    """Raises NotFound, Forbidden, Unavailable."""
    await require_owned_bucket(backends, name, caller)
    await backends.objects.remove_bucket(name)
