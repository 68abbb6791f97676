"""Presign an object: a link by which somebody without a credential puts or gets this one object, for a
while."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from gateway.actions.find_bucket import require_visible_bucket
from gateway.backends.connect import Backends
from gateway.backends.identity.protocol import Caller
from gateway.domain.problems import Invalid

EXPIRES_DEFAULT_S = 900
EXPIRES_LIMIT_S = 604800
"""A week: what a version 4 signature may last."""

KEY_LIMIT = 1024
HEADERS_LIMIT = 20

METHODS: Mapping[str, Literal["GET", "PUT"]] = {"upload": "PUT", "download": "GET"}

_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{1,1024}")
_OURS = frozenset({"host", "authorization", "content-length"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """`expires_s` 0 means the default; `headers` must then come along with the link's use."""

    bucket: str
    key: str
    operation: str
    expires_s: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Link:
    method: Literal["GET", "PUT"]
    url: str
    expires_at: datetime


async def presign_object(backends: Backends, wanted: Wanted, caller: Caller) -> Link:
    """The object need not be there. Raises Invalid, NotFound for the bucket, Unavailable."""
    method = METHODS.get(wanted.operation.lower())
    if method is None:
        raise Invalid("operation: upload or download is needed", field="operation")
    if not 0 < len(wanted.key.encode("utf-8", "surrogatepass")) <= KEY_LIMIT or not _is_text(wanted.key):
        raise Invalid(f"object_key: 1 to {KEY_LIMIT} bytes of UTF-8 are needed", field="object_key")
    expires_s = wanted.expires_s or EXPIRES_DEFAULT_S
    if not 1 <= expires_s <= EXPIRES_LIMIT_S:
        raise Invalid(f"expires: 1 to {EXPIRES_LIMIT_S} seconds", field="expires")
    _check_headers(wanted.headers)
    await require_visible_bucket(backends, wanted.bucket, caller)
    now = backends.now()
    url = backends.objects.presign(
        method, wanted.bucket, wanted.key, expires_s=expires_s, now=now, headers=wanted.headers
    )
    return Link(method, url, now + timedelta(seconds=expires_s))


def _is_text(key: str) -> bool:
    """Whether UTF-8 can hold it and a store takes it."""
    return "\0" not in key and not any("\ud800" <= character <= "\udfff" for character in key)


def _check_headers(headers: Mapping[str, str]) -> None:
    if len(headers) > HEADERS_LIMIT:
        raise Invalid(f"extra_headers: at most {HEADERS_LIMIT}", field="extra_headers")
    for name, value in headers.items():
        if not (_HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)) or name.lower() in _OURS:
            raise Invalid(f"extra_headers: {name!r} cannot be signed with that value", field="extra_headers")
