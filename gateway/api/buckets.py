"""`/system/buckets`: buckets, what is in them, whose they are, and links to their objects."""

import base64
import binascii
from typing import Any

from starlette.responses import Response

from gateway.actions.find_bucket import require_visible_bucket, visible_buckets
from gateway.actions.presign_object import Wanted, presign_object
from gateway.actions.remove_bucket import remove_bucket
from gateway.actions.share_bucket import Sharing, create_bucket, update_bucket
from gateway.api import json_body
from gateway.api.answers import empty_answer, json_answer, seconds
from gateway.api.operations import Ask
from gateway.api.query import whole_number
from gateway.backends.objects.protocol import Bucket
from gateway.domain.event import StoredObject
from gateway.domain.problems import Invalid

PAGE_LIMIT = 1000


async def create(ask: Ask) -> Response:
    body = json_body.parse_object(await ask.incoming.whole())
    await create_bucket(ask.backends, _name(json_body.text(body, "bucket_name")), _sharing(body), ask.caller)
    return empty_answer(201)


async def update(ask: Ask) -> Response:
    """The name in the path, as one version of oscar-cli has it, wins over the one in the body."""
    body = json_body.parse_object(await ask.incoming.whole())
    name = ask.path.get("bucket") or _name(json_body.text(body, "bucket_name"))
    await update_bucket(ask.backends, name, _sharing(body), ask.caller)
    return empty_answer(204)


async def list_all(ask: Ask) -> Response:
    return json_answer([_represent(bucket) for bucket in await visible_buckets(ask.backends, ask.caller)])


async def read(ask: Ask) -> Response:
    """A page of what is in it: `limit` objects after `page`, those that begin with `prefix`."""
    bucket = await require_visible_bucket(ask.backends, ask.path["bucket"], ask.caller)
    default = ask.backends.settings.job_listing_limit
    listing = await ask.backends.objects.list(
        bucket.name,
        prefix=ask.query.get("prefix", ""),
        after=_parse_page(ask.query.get("page", "")),
        limit=whole_number(ask.query, "limit", default=default, least=1, most=PAGE_LIMIT),
    )
    answer = _represent(bucket) | {"objects": [_represent_object(one) for one in listing.objects]}
    if listing.next_after is not None:
        answer["next_page"] = _page(listing.next_after)
    answer |= {"is_truncated": listing.next_after is not None, "returned_items": len(listing.objects)}
    return json_answer(answer)


async def remove(ask: Ask) -> Response:
    await remove_bucket(ask.backends, ask.path["bucket"], ask.caller)
    return empty_answer(204)


async def presign(ask: Ask) -> Response:
    """oscar-python says `expires`, OSCAR `expires_in`; either, neither or 0."""
    body = json_body.parse_object(await ask.incoming.whole())
    operation = json_body.text(body, "operation").strip().lower()
    headers = json_body.text_map(body, "extra_headers")
    content_type = json_body.text(body, "content_type")
    if content_type and operation == "upload":
        headers = {"Content-Type": content_type, **headers}
    wanted = Wanted(
        bucket=ask.path["bucket"],
        key=json_body.text(body, "object_key").strip("/"),
        operation=operation,
        expires_s=json_body.number(body, "expires_in") or json_body.number(body, "expires"),
        headers=headers,
    )
    link = await presign_object(ask.backends, wanted, ask.caller)
    answer: dict[str, Any] = {
        "object_key": wanted.key,
        "operation": operation,
        "method": link.method,
        "url": link.url,
        "expires_at": seconds(link.expires_at),
    }
    return json_answer(answer | ({"headers": headers} if headers else {}))


def _name(given: str) -> str:
    """OSCAR takes `bucket/folder` too; a folder needs no making."""
    name = given.strip().strip("/").partition("/")[0]
    if not name:
        raise Invalid("bucket_name: a name is needed", field="bucket_name")
    return name


def _sharing(body: dict[str, Any]) -> Sharing:
    return Sharing(json_body.text(body, "visibility").strip(), json_body.texts(body, "allowed_users"))


def _represent(bucket: Bucket) -> dict[str, Any]:
    """`visibility` directly after the name: OSCAR's acceptance suite greps for the two together."""
    tags = bucket.tags
    return {
        "bucket_name": bucket.name,
        "visibility": tags.get("visibility", "private"),
        "allowed_users": tags.get("allowed_users", "").split(),
        "owner": tags.get("owner", ""),
        "metadata": {
            "owner_name": tags.get("owner_name", ""),
            "from_service": tags.get("from_service", ""),
            "creation_time": seconds(bucket.created_at),
        },
    }


def _represent_object(stored: StoredObject) -> dict[str, Any]:
    return {
        "object_name": stored.key,
        "size_bytes": stored.size_bytes,
        "last_modified": seconds(stored.modified_at),
    }


def _page(after: str) -> str:
    return base64.urlsafe_b64encode(after.encode()).decode()


def _parse_page(page: str) -> str:
    try:
        return base64.b64decode(page.encode("ascii"), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise Invalid("page: not a page of this listing", field="page") from error
