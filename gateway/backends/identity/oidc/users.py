"""Users of the configured issuers, by Bearer tokens (RFC 6750) that these signed. What a token's issuer said
is remembered by the token's digest, so that a call costs no question."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakValueDictionary

from gateway.backends.identity.oidc.answers import Answers, Refused
from gateway.backends.identity.oidc.claims import groups_in, user_name
from gateway.backends.identity.oidc.fetching import is_private, open_session
from gateway.backends.identity.oidc.issuer import LEEWAY_S, Claims, Issuer, unverified_issuer
from gateway.backends.identity.protocol import Caller
from gateway.domain.problems import Problem, Unauthenticated, Unavailable
from gateway.settings import Settings, SettingsError, listed

TOKEN_LIMIT = 16 << 10
"""Bytes; tokens with many groups have some 4 KiB."""
REMEMBERED_S = 300.0
"""Longer than that nobody is taken for a member of what they have left."""
REFUSED_S = 60.0
"""Longer than that nobody who has just become a member waits."""
FAR = 1 << 40
"""Seconds since 1970: whatever ends later never does."""

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Terms:
    """A member of any of `groups` is let in, everybody if there are none; `audience` "" is not looked at."""

    groups: frozenset[str]
    audience: str


@asynccontextmanager
async def open_oidc_users(settings: Settings, *, clock: Clock = time.monotonic) -> AsyncIterator["OidcUsers"]:
    """Nobody is asked yet. Raises SettingsError for an issuer that is no address to be trusted."""
    urls = [url.rstrip("/") for url in listed(settings.oidc_issuers)]
    for url in urls:
        if not is_private(url, loopback=True) or "?" in url or "#" in url:
            raise SettingsError("OIDC_ISSUERS: https://… is needed, or http:// on this machine's loopback")
    terms = Terms(frozenset(listed(settings.oidc_groups)), settings.oidc_audience)
    async with open_session() as session:
        yield OidcUsers({url: Issuer(url, session, clock) for url in urls}, terms, clock)


class OidcUsers:
    def __init__(self, issuers: Mapping[str, Issuer], terms: Terms, clock: Clock) -> None:
        self._issuers = issuers
        self._terms = terms
        self._answers = Answers(clock)
        self._asking: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    async def caller(self, authorization: str) -> Caller:
        token = parse_bearer(authorization)
        digest = hashlib.sha256(token.encode()).digest()
        answer = self._answers.get(digest) or await self._ask_once(token, digest)
        if isinstance(answer, Refused):
            raise answer.problem()
        return answer

    async def _ask_once(self, token: str, digest: bytes) -> Caller | Refused:
        """Whoever comes with the same token meanwhile has the same answer."""
        async with self._asking.setdefault(digest, asyncio.Lock()):
            return self._answers.get(digest) or await self._ask(token, digest)

    async def _ask(self, token: str, digest: bytes) -> Caller | Refused:
        """What its issuer did not sign is not remembered: it costs nobody a question. Raises Unauthenticated,
        Unavailable."""
        name = unverified_issuer(token)
        issuer = self._issuers.get(name)
        if issuer is None:
            raise Unauthenticated("the token's issuer is not one of OIDC_ISSUERS")
        claims = await issuer.claims(token, audience=self._terms.audience)
        left_s = min(int(claims["exp"]), FAR) + LEEWAY_S - time.time()
        answer: Caller | Refused
        try:
            answer, longest_s = await self._admitted(issuer, token, claims), REMEMBERED_S
        except (Unauthenticated, Unavailable) as problem:
            answer, longest_s = _refused(problem), float(problem.retry_after_s or REFUSED_S)
        self._answers.keep(digest, answer, for_s=min(longest_s, left_s))
        return answer

    async def _admitted(self, issuer: Issuer, token: str, claims: Claims) -> Caller:
        """Raises Unauthenticated, Unavailable."""
        name, wanted = user_name(claims), self._terms.groups
        if wanted and not wanted & groups_in(claims):
            told = await issuer.userinfo(token)
            # OpenID Connect Core 1.0, 5.3.2: else it may be of somebody else.
            if told.get("sub") != name or not wanted & groups_in(told):
                raise Unauthenticated("the user is in none of OIDC_GROUPS")
        return Caller(name, admin=False)


def parse_bearer(authorization: str) -> str:
    """The token of an Authorization header's value. Raises Unauthenticated for anything else."""
    scheme, _, token = authorization.strip().partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("a Bearer token is needed")
    token = token.strip()
    if len(token) > TOKEN_LIMIT or not token.isascii():
        raise Unauthenticated("the token is not a JWT")
    return token


def _refused(problem: Problem) -> Refused:
    return Refused(type(problem), problem.detail, problem.retry_after_s)
