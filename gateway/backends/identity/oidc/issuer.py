"""One issuer of tokens: what it says of itself, its keys, and what it knows of a user. Asked when it is
needed, never at the start: it may be away, and come back."""

import asyncio
from collections.abc import Callable
from math import inf
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import jwt
import structlog
from jwt import PyJWK
from jwt.exceptions import InvalidSignatureError, PyJWTError

from gateway.backends.identity.oidc.fetching import RETRY_S, away, fetch_object, is_private
from gateway.backends.identity.oidc.keys import Keys
from gateway.domain.problems import Unauthenticated, Unavailable

Claims = dict[str, Any]

KEYS_S = 3600.0
"""Keys that are older are read anew: one may have been withdrawn."""
ANEW_S = 60.0
"""Not more often for keys that nobody has heard of."""
PAUSE_S = float(RETRY_S)
"""After it was away, whoever asks is told so at once for so long."""
LEEWAY_S = 10.0
"""By which its clock and ours may differ."""

UNUSABLE = (PyJWTError, ValueError, TypeError, OverflowError, RecursionError)
"""What reading a token raises, whatever is in it."""

log = structlog.get_logger(__name__)


class Issuer:
    """`url` is what its tokens have as `iss`, without a slash at the end."""

    def __init__(self, url: str, session: aiohttp.ClientSession, clock: Callable[[], float]) -> None:
        self._url = url
        self._session = session
        self._clock = clock
        self._turn = asyncio.Lock()
        self._keys = Keys()
        self._userinfo = ""
        self._read_at = -inf
        self._away_until = -inf

    async def claims(self, token: str, *, audience: str) -> Claims:
        """Of a token that it signed and that is good now, for this audience if one is given.

        Raises Unauthenticated, Unavailable.
        """
        try:
            header = jwt.get_unverified_header(token)
            kid, algorithm = header.get("kid"), str(header.get("alg"))
        except UNUSABLE:
            raise Unauthenticated("the token is not a JWT") from None
        for key in await self._fitting(kid, algorithm):
            try:
                return _read(token, key, algorithm, audience)
            except InvalidSignatureError:
                continue
            except UNUSABLE as error:
                raise Unauthenticated(f"the token is not good: {type(error).__name__}") from None
        raise Unauthenticated("the token is signed by no key of its issuer")

    async def userinfo(self, token: str) -> Claims:
        """What it tells of the user. Raises Unauthenticated, Unavailable."""
        return await fetch_object(self._session, self._userinfo, token=token) if self._userinfo else {}

    async def _fitting(self, kid: str | None, algorithm: str) -> list[PyJWK]:
        found = self._keys.fitting(kid=kid, algorithm=algorithm)
        if not found or self._age_s() > KEYS_S:
            await self._look_again()
            found = self._keys.fitting(kid=kid, algorithm=algorithm)
        return found

    async def _look_again(self) -> None:
        async with self._turn:
            if self._age_s() < ANEW_S:
                return
            if self._clock() < self._away_until:
                raise Unavailable(f"the identity provider {self._host} is away", retry_after_s=RETRY_S)
            try:
                await self._look()
            except Unavailable:
                self._away_until = self._clock() + PAUSE_S
                raise

    async def _look(self) -> None:
        """OpenID Connect Discovery 1.0, and the keys (RFC 7517)."""
        where = f"{self._url}/.well-known/openid-configuration"
        found = await fetch_object(self._session, where)
        if str(found.get("issuer")).rstrip("/") != self._url:
            raise away(self._url, "describes another")
        keys_at, userinfo = str(found.get("jwks_uri", "")), str(found.get("userinfo_endpoint", ""))
        loopback = self._url.startswith("http:")
        if not all(is_private(url, loopback=loopback) for url in (keys_at, userinfo or keys_at)):
            raise away(self._url, "has addresses that cannot be used")
        keys = Keys((await fetch_object(self._session, keys_at)).get("keys"))
        self._keys, self._userinfo, self._read_at = keys, userinfo, self._clock()
        log.info("issuer.read", issuer=self._host)

    def _age_s(self) -> float:
        return self._clock() - self._read_at

    @property
    def _host(self) -> str:
        return urlsplit(self._url).netloc


def unverified_issuer(token: str) -> str:
    """What a token says of where it is from, without a slash at the end. Nothing is proven by it.

    Raises Unauthenticated.
    """
    try:
        issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
    except UNUSABLE:
        raise Unauthenticated("the token is not a JWT") from None
    return issuer.rstrip("/") if isinstance(issuer, str) else ""


def _read(token: str, key: PyJWK, algorithm: str, audience: str) -> Claims:
    """Its `iss` is the one by which the issuer was found: it is covered by the signature."""
    claims: Claims = jwt.decode(
        token,
        key,
        algorithms=[algorithm],
        audience=audience or None,
        leeway=LEEWAY_S,
        options={"require": ["exp", "iss", "sub"], "verify_aud": bool(audience)},
    )
    return claims
