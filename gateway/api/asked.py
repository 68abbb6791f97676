"""What a call's head asks, read in one pass: what is for us, the credential first, and the headers that go on
to the script's side. Ours are not among those."""

import re
import secrets
from collections.abc import Sequence
from itertools import count

from starlette.types import Scope

from gateway.domain.headers import Headers

KEPT_BACK = frozenset(
    {b"authorization", b"proxy-authorization", b"host", b"x-request-id", b"idempotency-key", b"prefer"}
    | {b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"forwarded"}
)
"""Ours to read, or written anew."""

REQUEST_ID = b"x-request-id"
FORWARDED_FOR = b"x-forwarded-for"
SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")

_LIFE = secrets.token_hex(6).encode()
_NUMBERS = count(1)


def new_id() -> bytes:
    return b"%b-%x" % (_LIFE, next(_NUMBERS))


class Asked:
    """`request_id` is the caller's, if it can stand in a log line; else a new one. It is not among what is
    `passed_on`. `raw` wants output bytes without Base64."""

    __slots__ = ("authorization", "id_given", "idempotency_key", "passed_on", "prefer", "raw", "request_id")

    def __init__(self, scope: Scope, *, apart: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """`apart` are headers of the call's that somebody else adds to what is passed on."""
        self.authorization = self.idempotency_key = ""
        self.request_id = b""
        self.prefer: list[str] = []
        self.raw = False
        self.passed_on: Headers = []
        forwarding: dict[bytes, bytes] = {}
        for header in [one for one in scope["headers"] if one not in apart] if apart else scope["headers"]:
            name, value = header
            if name not in KEPT_BACK:
                self.passed_on.append(header)
                if name == b"accept" and b"application/octet-stream" in value:
                    self.raw = True
            elif name == b"authorization":
                self.authorization = self.authorization or value.decode("latin-1")
            elif name == REQUEST_ID:
                if SANE_ID.fullmatch(value):
                    self.request_id = value
            elif name == b"prefer":
                self.prefer.append(value.decode("latin-1"))
            elif name == b"idempotency-key":
                self.idempotency_key = self.idempotency_key or value.decode("latin-1")
            else:
                forwarding[name] = b"%b, %b" % (forwarding[name], value) if name in forwarding else value
        self.id_given = bool(self.request_id)
        self.request_id = self.request_id or new_id()
        if FORWARDED_FOR not in [name for name, _ in apart]:
            self.passed_on.append(forwarded_for(scope, forwarding.get(FORWARDED_FOR, b"")))
        self._tell_the_way(scope, forwarding)

    def _tell_the_way(self, scope: Scope, so_far: dict[bytes, bytes]) -> None:
        """By whom and for which address it came: this hop is added to what proxies in front wrote
        (`X-Forwarded-*`, and RFC 7239 where they speak that)."""
        address = _address(scope)
        host = so_far.get(b"host", b"")
        told = self.passed_on
        told.append((b"x-forwarded-host", so_far.get(b"x-forwarded-host") or host))
        scheme: str = scope.get("scheme", "http")
        told.append((b"x-forwarded-proto", so_far.get(b"x-forwarded-proto") or scheme.encode()))
        if b"forwarded" in so_far:
            node = b'"[%b]"' % address if b":" in address else address
            element = b'for=%b;host="%b";proto=%b' % (node, host.replace(b'"', b""), scheme.encode())
            told.append((b"forwarded", b"%b, %b" % (so_far[b"forwarded"], element)))


def forwarded_for(scope: Scope, before: bytes) -> tuple[bytes, bytes]:
    """This hop, added to what proxies in front wrote, if they did."""
    address = _address(scope)
    return FORWARDED_FOR, b"%b, %b" % (before, address) if before else address


def _address(scope: Scope) -> bytes:
    client = scope.get("client")
    return client[0].encode("latin-1") if client else b"unknown"
