"""Link objects: presigned links by which the pod of a live attempt gets its input and puts its outputs, where
its service's rules let it. The mark is ours to set: a link without it stores nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from gateway.actions.hand_out_order import require_live
from gateway.backends.connect import Backends
from gateway.backends.objects.protocol import UploadPart
from gateway.domain.deployed import Deployed
from gateway.domain.event import StoredObject
from gateway.domain.job import AttemptId, Job
from gateway.domain.mark import METADATA_KEY, mark
from gateway.domain.matching import puts
from gateway.domain.parted import PARTS_LIMIT
from gateway.domain.problems import Forbidden, Invalid, NotFound
from gateway.staging.abreast import abreast

WISHES_LIMIT = 1000
"""Of one request."""
ASKED_AT_ONCE = 8
"""Of the store, what stands at a place, for one request."""
TYPE_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Wish:
    """With an `upload` a PUT is that of its `part`: see `actions.upload_outputs`."""

    method: Literal["GET", "PUT"]
    bucket: str
    key: str
    content_type: str = "application/octet-stream"
    upload: str = ""
    part: int = 0


@dataclass(frozen=True, slots=True)
class ObjectLink:
    """`headers` must come along with it. `there` is what stands at a PUT's place already."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)
    there: StoredObject | None = None


async def link_objects(
    backends: Backends, attempt: AttemptId, wishes: Sequence[Wish]
) -> tuple[ObjectLink, ...]:
    """In order. Raises Conflict, Invalid, Forbidden, Unavailable."""
    if len(wishes) > WISHES_LIMIT:
        raise Invalid(f"links: at most {WISHES_LIMIT} at once", field="links")
    job, deployed = await require_live(backends, attempt)
    links = await abreast(lambda wish: _link(backends, job, deployed, wish), wishes, at_once=ASKED_AT_ONCE)
    return tuple(links)


async def _link(backends: Backends, job: Job, deployed: Deployed, wish: Wish) -> ObjectLink:
    if wish.method == "GET":
        if job.stored is None or (job.stored.bucket, job.stored.key) != (wish.bucket, wish.key):
            raise Forbidden(f"the attempt does not work on {wish.bucket}/{wish.key}")
        return ObjectLink(_presign(backends, wish, {}))
    ours = require_output(job, deployed, wish)
    if wish.upload:
        return ObjectLink(_presign_part(backends, wish))
    headers = {"content-type": wish.content_type, f"x-amz-meta-{METADATA_KEY}": ours}
    return ObjectLink(_presign(backends, wish, headers), headers, await _there(backends, wish))


def require_output(job: Job, deployed: Deployed, wish: Wish) -> str:
    """The mark of what is put there. Raises Forbidden where no rule puts anything, Invalid."""
    if not puts(deployed.service, wish.bucket, wish.key):
        raise Forbidden(f"no output rule of the service puts anything at {wish.bucket}/{wish.key}")
    if len(wish.content_type) > TYPE_LIMIT or not wish.content_type.isprintable():
        raise Invalid("a content type is needed", field="content_type")
    return mark(service_uid=deployed.uid, job=job.id, bucket=wish.bucket, key=wish.key)


async def _there(backends: Backends, wish: Wish) -> StoredObject | None:
    try:
        return await backends.objects.stat(wish.bucket, wish.key)
    except NotFound:
        return None


def _presign(backends: Backends, wish: Wish, headers: dict[str, str]) -> str:
    expires_s = int(backends.settings.staging_limit_s)
    return backends.objects.presign(
        wish.method,
        wish.bucket,
        wish.key,
        expires_s=expires_s,
        now=backends.now(),
        headers=headers,
        inside=True,
    )


def _presign_part(backends: Backends, wish: Wish) -> str:
    if not 1 <= wish.part <= PARTS_LIMIT:
        raise Invalid(f"links: an upload has parts 1 to {PARTS_LIMIT}", field="links")
    part, expires_s = UploadPart(wish.upload, wish.part), int(backends.settings.staging_limit_s)
    return backends.objects.presign_part(wish.bucket, wish.key, part, expires_s=expires_s, now=backends.now())
