"""Share a bucket: create one, or change who may see it. Both are the same three words of a request."""

from dataclasses import dataclass

from gateway.actions.find_bucket import require_owned_bucket
from gateway.backends.connect import Backends
from gateway.backends.identity.protocol import Caller
from gateway.backends.objects.protocol import OWN_BUCKET
from gateway.domain.problems import Conflict, Invalid

VISIBILITIES = ("private", "restricted", "public")


@dataclass(frozen=True, slots=True)
class Sharing:
    """`allowed_users` matters for `restricted` only, and is kept for the others."""

    visibility: str = "private"
    allowed_users: tuple[str, ...] = ()

    def tags(self) -> dict[str, str]:
        """Raises Invalid for a visibility there is not, or a user id with a blank in it."""
        visibility = self.visibility.lower() or "private"
        if visibility not in VISIBILITIES:
            raise Invalid("visibility: private, restricted or public is needed", field="visibility")
        if any(len(user.split()) != 1 for user in self.allowed_users):
            raise Invalid("allowed_users: a user id has no blanks", field="allowed_users")
        return {"visibility": visibility, "allowed_users": " ".join(self.allowed_users)}


async def create_bucket(backends: Backends, name: str, sharing: Sharing, caller: Caller) -> None:
    """Raises Invalid for a bad name, Conflict if it is taken, Unavailable, StorageFull."""
    if name == OWN_BUCKET:
        raise Invalid(f"the bucket {name!r} is the gateway's own", field="bucket_name")
    tags = {"owner": caller.name, "owner_name": caller.name, **sharing.tags()}
    if not await backends.objects.make_bucket(name, tags=tags):
        raise Conflict(f"the bucket {name!r} exists already", field="bucket_name")


async def update_bucket(backends: Backends, name: str, sharing: Sharing, caller: Caller) -> None:
    """All its other tags stay. Raises Invalid, NotFound, Forbidden, Unavailable."""
    bucket = await require_owned_bucket(backends, name, caller)
    await backends.objects.tag_bucket(name, {**bucket.tags, **sharing.tags()})
