"""The claim: the signed credential of one attempt, by which its pod fetches its work and returns its result.

`<attempt>.<seconds since 1970 at which it ends>.<signature>`, the signature HMAC-SHA-256 in URL-safe Base64.
It opens the routes of this one attempt and nothing else, and no store.
"""

import base64
import hashlib
import hmac
import re
from datetime import UTC, datetime

from gateway.domain.job import AttemptId
from gateway.domain.problems import Unauthenticated

_PURPOSE = b"oscar-gateway claim 1\n"
"""Keeps a signature of ours with the same key and another meaning from being taken for a claim."""

_CLAIM = re.compile(r"([a-z0-9-]{1,80})\.([0-9]{1,12})\.([A-Za-z0-9_-]{43})")


def make_claim(key: str, attempt: AttemptId, *, ends_at: datetime) -> str:
    """Whole seconds count; `key` is a secret that all gateways and workers share."""
    claimed = f"{attempt}.{int(ends_at.timestamp())}"
    return f"{claimed}.{_signature(key, claimed)}"


def read_claim(key: str, text: str, *, now: datetime) -> AttemptId:
    """Whose it is. Raises Unauthenticated, alike for every fault, in time that does not tell how much of it
    was right; nothing is claimed with an empty key."""
    found = _CLAIM.fullmatch(text)
    attempt, end, signature = found.groups() if found else ("", "0", "")
    right = hmac.compare_digest(signature.encode(), _signature(key, f"{attempt}.{end}").encode())
    if not (key and right and now < datetime.fromtimestamp(int(end), UTC)):
        raise Unauthenticated("the claim is not one of a present attempt")
    return AttemptId(attempt)


def _signature(key: str, claimed: str) -> str:
    digest = hmac.digest(key.encode(), _PURPOSE + claimed.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
