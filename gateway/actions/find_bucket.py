"""Find a bucket, as far as the caller may see it. Whose it is stands in its tags, as OSCAR has it."""

from gateway.backends.connect import Backends
from gateway.backends.identity.protocol import Caller
from gateway.backends.objects.protocol import OWN_BUCKET, Bucket
from gateway.domain.problems import Forbidden, NotFound


async def visible_buckets(backends: Backends, caller: Caller) -> list[Bucket]:
    """Ordered by name; never the gateway's own. Raises Unavailable."""
    return [bucket for bucket in await backends.objects.buckets() if _visible(bucket, caller)]


async def require_visible_bucket(backends: Backends, name: str, caller: Caller) -> Bucket:
    """Raises NotFound, also for a bucket that is not the caller's to know of, Unavailable."""
    if name != OWN_BUCKET:
        bucket = await backends.objects.bucket(name)
        if _visible(bucket, caller):
            return bucket
    raise NotFound(f"there is no bucket {name!r}")


async def require_owned_bucket(backends: Backends, name: str, caller: Caller) -> Bucket:
    """Raises NotFound, or Forbidden for one that the caller may use but not change."""
    bucket = await require_visible_bucket(backends, name, caller)
    if not caller.admin and bucket.tags.get("owner") != caller.name:
        raise Forbidden(f"the bucket {name!r} is not yours to change")
    return bucket


def _visible(bucket: Bucket, caller: Caller) -> bool:
    tags = bucket.tags
    return caller.may_see(
        owner=tags.get("owner", ""),
        visibility=tags.get("visibility", ""),
        allowed_users=tags.get("allowed_users", "").split(),
    )
