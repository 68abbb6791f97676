"""A page of jobs: the place to go on from, as text that means nothing to its bearer."""

import base64
import binascii
import hashlib
import re
from datetime import UTC, datetime, timedelta

from gateway.domain.job import Cursor, JobId
from gateway.domain.problems import Invalid

CURSOR_LIMIT = 200

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CONTENT = re.compile(rb"([0-9]{1,17}) ([a-z0-9-]{1,60})")


def cursor_text(cursor: Cursor) -> str:
    """URL-safe text that `parse_cursor` reads back exactly, to the microsecond."""
    microseconds = (cursor.created_at - _EPOCH) // timedelta(microseconds=1)
    content = f"{microseconds} {cursor.id}".encode()
    return base64.urlsafe_b64encode(_check(content) + content).decode().rstrip("=")


def parse_cursor(text: str, *, field: str = "page") -> Cursor:
    """Raises Invalid, naming `field`, for anything that is not a cursor of ours, whole and unchanged."""
    found = _CONTENT.fullmatch(_content(text))
    if found is None:
        raise Invalid(f"{field}: is not one that this gateway gave out", field=field)
    created_at = _EPOCH + timedelta(microseconds=int(found[1]))
    return Cursor(created_at=created_at, id=JobId(found[2].decode()))


def _content(text: str) -> bytes:
    """Empty unless its check fits."""
    if len(text) > CURSOR_LIMIT or not text.isascii():
        return b""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        return b""
    check, content = raw[:6], raw[6:]
    return content if check == _check(content) else b""


def _check(content: bytes) -> bytes:
    """Against mistakes, not against forgers: a forged cursor shows nothing that paging would not."""
    return hashlib.sha256(content).digest()[:6]
