"""The one user that the settings name: OSCAR's administrator, by Basic credential (RFC 7617).

Knows no other users: whoever needs those brings an identity provider.
"""

import base64
import hashlib
from hmac import compare_digest

from gateway.backends.identity import protocol
from gateway.backends.identity.protocol import Caller
from gateway.domain.problems import Unauthenticated

ADMINISTRATOR = Caller(protocol.ADMINISTRATOR, admin=True)


class Administrator:
    """Keeps digests only: they have one length, so that comparing them tells nothing about the right ones."""

    def __init__(self, *, username: str, password: str) -> None:
        self._username = _digest(username)
        self._password = _digest(password)

    async def caller(self, authorization: str) -> Caller:
        username, password = parse_basic(authorization)
        # Both, always: a wrong name must take as long as a wrong password.
        right = (
            compare_digest(_digest(username), self._username),
            compare_digest(_digest(password), self._password),
        )
        if not all(right):
            raise Unauthenticated("wrong user name or password")
        return ADMINISTRATOR


def parse_basic(authorization: str) -> tuple[str, str]:
    """User name and password of an Authorization header's value. Raises Unauthenticated for anything else."""
    scheme, _, credential = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        raise Unauthenticated("a Basic credential is needed")
    try:
        text = base64.b64decode(credential.strip(), validate=True).decode("utf-8")
    except ValueError:
        # Not chained: the error's text repeats the credential.
        raise Unauthenticated("the Basic credential is not Base64 of UTF-8 text") from None
    username, colon, password = text.partition(":")
    if not colon:
        raise Unauthenticated("the Basic credential has no colon between name and password")
    return username, password


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
