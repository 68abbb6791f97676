"""Users of an identity provider: which tokens open, what is asked of whom, and how often."""

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest
import structlog
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gateway.backends.identity.oidc.answers import Answers, Refused
from gateway.backends.identity.oidc.claims import groups_in
from gateway.backends.identity.oidc.fetching import is_private
from gateway.backends.identity.oidc.issuer import ANEW_S, KEYS_S, PAUSE_S
from gateway.backends.identity.oidc.users import (
    REFUSED_S,
    REMEMBERED_S,
    TOKEN_LIMIT,
    OidcUsers,
    open_oidc_users,
)
from gateway.backends.identity.protocol import Caller
from gateway.domain.problems import Problem, Unauthenticated, Unavailable
from gateway.settings import Settings, SettingsError
from tests.identity.issuer import Issuer, open_issuer, public_jwk, raw_token
from tests.polling import until

GROUPS = "vo.example.org,admins"
MEMBER = {"entitlements": ["urn:mace:egi.eu:group:vo.example.org:role=member#aai.egi.eu"]}
ANN = Caller("ann", admin=False)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with open_issuer() as issuer:
        yield issuer


@asynccontextmanager
async def users(clock: Clock, *issuers: Issuer, **settings: str) -> AsyncIterator[OidcUsers]:
    given = Settings(oidc_issuers=", ".join(issuer.url for issuer in issuers), **settings)
    async with open_oidc_users(given, clock=clock) as opened:
        yield opened


async def ask(users: OidcUsers, token: str) -> Caller:
    return await users.caller(f"Bearer {token}")


async def _true(value: object) -> object:
    return value


async def refusal(users: OidcUsers, token: str) -> Problem:
    with pytest.raises((Unauthenticated, Unavailable)) as refused:
        await ask(users, token)
    problem = refused.value
    assert isinstance(problem, Problem)
    assert problem.__cause__ is None
    for secret in (token, *token.split("."), hashlib.sha256(token.encode()).hexdigest()):
        assert len(secret) < 8 or secret not in problem.detail
    return problem


async def test_a_user_is_known_by_a_token_of_their_issuer_whatever_key_signed_it(
    issuer: Issuer, clock: Clock
) -> None:
    async with users(clock, issuer) as known:
        assert await ask(known, issuer.token("ann")) == ANN
        assert await known.caller(f"bearer  {issuer.token('bob', kid='ec')} ") == Caller("bob", admin=False)
        unnamed = jwt.encode(issuer.claims("eve"), issuer.keys["rsa"], "PS384")  # type: ignore[arg-type]
        assert await ask(known, unnamed) == Caller("eve", admin=False)
        assert await ask(known, issuer.token(iss=issuer.url + "/")) == ANN
        assert await ask(known, issuer.token(exp=10**400)) == ANN
    assert issuer.asked == {"openid-configuration": 1, "jwks": 1}


def forged(issuer: Issuer) -> Iterator[tuple[str, str]]:
    """Tokens that somebody else made, or that are not good."""
    claims, now = issuer.claims("ann"), int(time.time())
    header = {"alg": "RS256", "kid": "rsa"}
    good = issuer.token()
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    yield "signed by another", jwt.encode(claims, other, "RS256", {"kid": "rsa"})
    yield "brings its key", jwt.encode(claims, other, "RS256", {"kid": "rsa", "jwk": public_jwk(other)})
    yield "unsigned", raw_token({"alg": "none"}, claims)
    yield "unsigned, of that key", raw_token({"alg": "none", "kid": "rsa"}, claims)
    yield "signature cut off", good.rpartition(".")[0] + "."
    yield "claims exchanged", raw_token(header, issuer.claims("bob")).rpartition(".")[0] + "." + good[-342:]
    public = issuer.keys["rsa"].public_key()
    for form in (serialization.Encoding.PEM, serialization.Encoding.DER):
        secret = public.public_bytes(form, serialization.PublicFormat.SubjectPublicKeyInfo)
        for kid in ({}, {"kid": "rsa"}):
            head = {"alg": "HS256", **kid}
            signed = raw_token(head, claims).rpartition(".")[0]
            mac = hmac.digest(secret, signed.encode(), "sha256")
            yield f"public key as a secret, {form} {kid}", raw_token(head, claims, mac)
    yield "RSA token named as EC's", jwt.encode(claims, issuer.keys["rsa"], "RS256", {"kid": "ec"})  # type: ignore[arg-type]
    yield "expired", issuer.token(exp=now - 60)
    yield "never expires", issuer.token(exp=None)
    yield "expires at infinity", issuer.token(exp=float("inf"))
    yield "not yet good", issuer.token(nbf=now + 600)
    yield "no subject", issuer.token(sub=None)
    yield "another issuer", issuer.token(iss="https://evil.example.org")
    yield "another path of the issuer", issuer.token(iss=issuer.url + "/x")
    yield "no issuer", issuer.token(iss=None)
    yield "issuers", raw_token(header, claims | {"iss": [issuer.url]}, b"x")
    for name in ("cluster_admin", "token", "oscar", "nil", "", "a b", "a\nb", "é", "x" * 256):
        yield f"called {name[:20]!r}", issuer.token(name)


async def test_no_other_token_opens_anything(issuer: Issuer, clock: Clock) -> None:
    async with users(clock, issuer) as known:
        for what, token in [*forged(issuer)]:
            assert type(await refusal(known, token)) is Unauthenticated, what
        assert await ask(known, issuer.token()) == ANN


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b.c",
        "..",
        "0" * 63,
        "é.é.é",
        raw_token(b"[" * 6000, {}),
        raw_token({"alg": "RS256"}, b"[" * 6000),
        raw_token({"alg": "RS256"}, b"1" * 6000),
        raw_token({"alg": ["RS256"]}, {"iss": "x"}),
        raw_token([], []),
        raw_token({"alg": "RS256", "kid": 7}, {"iss": "x"}),
        "x" * (TOKEN_LIMIT + 1),
    ],
    ids=range(13),
)
async def test_what_is_no_token_is_refused_without_asking_anybody(
    issuer: Issuer, clock: Clock, token: str
) -> None:
    async with users(clock, issuer) as known:
        assert type(await refusal(known, token)) is Unauthenticated
    assert not issuer.asked


async def test_any_header_on_claims_of_a_known_issuer_is_a_refusal(issuer: Issuer, clock: Clock) -> None:
    heads: list[Any] = [
        {},
        {"alg": []},
        {"alg": "RS256", "kid": 7},
        {"alg": "RS256", "crit": ["x"]},
        b"[" * 6000,
    ]
    async with users(clock, issuer) as known:
        for head in heads:
            assert type(await refusal(known, raw_token(head, issuer.claims("ann")))) is Unauthenticated


async def test_an_audience_that_is_set_must_be_the_tokens(issuer: Issuer, clock: Clock) -> None:
    async with users(clock, issuer, oidc_audience="oscar") as known:
        assert await ask(known, issuer.token(aud=["account", "oscar"])) == ANN
        for wrong in ("account", None, ["oscar2"]):
            assert type(await refusal(known, issuer.token(aud=wrong))) is Unauthenticated
    async with users(clock, issuer) as known:
        assert await ask(known, issuer.token(aud="account")) == ANN


@pytest.mark.parametrize(
    "claims",
    [
        MEMBER,
        {"eduperson_entitlement": "urn:mace:egi.eu:group:vo.example.org:sub:role=vm_operator#aai.egi.eu"},
        {"realm_access": {"roles": ["offline_access", "admins"]}},
        {"group_membership": ["admins"]},
    ],
)
async def test_members_are_let_in_by_the_token_or_else_by_what_the_issuer_tells(
    issuer: Issuer, clock: Clock, claims: dict[str, Any]
) -> None:
    issuer.known["bob"] = claims
    async with users(clock, issuer, oidc_groups=GROUPS) as known:
        assert await ask(known, issuer.token(**claims)) == ANN
        assert issuer.asked["userinfo"] == 0
        assert await ask(known, issuer.token("bob", realm_access={"roles": ["default"]})) == Caller(
            "bob", False
        )
        assert issuer.asked["userinfo"] == 1


async def test_who_is_in_no_group_is_refused_and_the_issuer_asked_once(issuer: Issuer, clock: Clock) -> None:
    issuer.known["ann"] = {"group_membership": ["admin", "vo"], "groups": ["admins"]}
    token = issuer.token()
    async with users(clock, issuer, oidc_groups=GROUPS) as known:
        for _ in range(5):
            assert "OIDC_GROUPS" in (await refusal(known, token)).detail
        assert issuer.asked["userinfo"] == 1
        issuer.known["ann"] = MEMBER
        clock.now += REFUSED_S
        assert await ask(known, token) == ANN


async def test_userinfo_of_somebody_else_is_nobodys(issuer: Issuer, clock: Clock) -> None:
    issuer.known["ann"] = {"sub": "bob", **MEMBER}
    async with users(clock, issuer, oidc_groups=GROUPS) as known:
        assert type(await refusal(known, issuer.token())) is Unauthenticated


def test_only_urns_of_groups_are_entitlements() -> None:
    urns = [
        "urn:mace:egi.eu:aai:vo:x",
        "x urn:mace:egi.eu:group:vo:y",
        "vo",
        7,
        None,
        "urn:mace:egi.eu:group:g#h",
    ]
    assert groups_in({"entitlements": urns, "realm_access": ["a"], "group_membership": {"b": 1}}) == {"g"}


async def test_a_hundred_calls_ask_the_issuer_once_and_wait_for_nothing(issuer: Issuer, clock: Clock) -> None:
    issuer.known["ann"] = MEMBER
    token = issuer.token()
    async with users(clock, issuer, oidc_groups=GROUPS) as known:
        assert await asyncio.gather(*(ask(known, token) for _ in range(50))) == [ANN] * 50
        for _ in range(50):
            with pytest.raises(StopIteration) as told:
                ask(known, token).send(None)
            assert told.value.value == ANN
    assert issuer.asked == {"openid-configuration": 1, "jwks": 1, "userinfo": 1}


async def test_an_answer_is_asked_for_anew_after_a_while(issuer: Issuer, clock: Clock) -> None:
    issuer.known["ann"] = MEMBER
    token = issuer.token()
    async with users(clock, issuer, oidc_groups=GROUPS) as known:
        await ask(known, token)
        clock.now += REMEMBERED_S - 1
        assert await ask(known, token) == ANN
        assert issuer.asked["userinfo"] == 1
        issuer.known.clear()
        clock.now += 1
        assert type(await refusal(known, token)) is Unauthenticated
        assert issuer.asked["userinfo"] == 2


async def test_an_answer_is_not_remembered_past_its_tokens_end(issuer: Issuer, clock: Clock) -> None:
    issuer.known["ann"] = MEMBER
    token = issuer.token(exp=int(time.time()) + 30)
    async with users(clock, issuer, oidc_groups=GROUPS) as known:
        await ask(known, token)
        clock.now += 41
        await ask(known, token)
    assert issuer.asked["userinfo"] == 2


async def test_whoever_stops_waiting_takes_nothing_from_the_others(issuer: Issuer, clock: Clock) -> None:
    issuer.known["ann"] = MEMBER
    issuer.trouble["userinfo"] = go_on = asyncio.Event()
    token = issuer.token()
    async with users(clock, issuer, oidc_groups=GROUPS) as known, asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(ask(known, token)) for _ in range(3)]
        await until(lambda: _true(issuer.asked["userinfo"]))
        asking[0].cancel()
        go_on.set()
        assert await asyncio.gather(*asking[1:]) == [ANN, ANN]


def test_answers_are_bounded_and_the_oldest_goes_first(clock: Clock) -> None:
    answers = Answers(clock, most=2)
    for name in (b"a", b"b", b"a", b"c"):
        answers.keep(name, ANN, for_s=10)
    for number in range(100):
        answers.keep(b"refused %d" % number, Refused(Unauthenticated, "no"), for_s=10)
    assert [answers.get(name) for name in (b"a", b"b", b"c")] == [ANN, None, ANN]
    assert len(answers) == 4
    answers.keep(b"a", Refused(Unauthenticated, "no"), for_s=10)
    assert answers.get(b"a") == Refused(Unauthenticated, "no")
    clock.now += 10
    assert answers.get(b"c") is None


async def test_a_key_nobody_knows_has_the_keys_read_anew_but_not_for_each_token(
    issuer: Issuer, clock: Clock
) -> None:
    async with users(clock, issuer) as known:
        await ask(known, issuer.token())
        clock.now += ANEW_S
        for number in range(200):
            token = raw_token({"alg": "RS256", "kid": f"{number}"}, issuer.claims("ann"), b"x")
            assert type(await refusal(known, token)) is Unauthenticated
        assert issuer.asked["jwks"] == 2
        assert await ask(known, issuer.token("bob")) == Caller("bob", admin=False)


async def test_rotated_keys_are_found_and_withdrawn_ones_end(issuer: Issuer, clock: Clock) -> None:
    async with users(clock, issuer) as known:
        old = issuer.token("old")
        await ask(known, issuer.token())
        issuer.rotate("rsa2", "ec2")
        clock.now += ANEW_S
        assert await ask(known, issuer.token("bob", kid="ec2")) == Caller("bob", admin=False)
        assert type(await refusal(known, old)) is Unauthenticated

        before = issuer.token("late", kid="rsa2")
        issuer.rotate("rsa3", "ec3")
        clock.now += KEYS_S + 1
        assert type(await refusal(known, before)) is Unauthenticated


async def test_keys_that_prove_nothing_are_left_out(issuer: Issuer, clock: Clock) -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    for_secrets = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    curve = ec.generate_private_key(ec.SECP384R1())
    shown: list[Any] = [
        public_jwk(weak) | {"kid": "weak"},
        public_jwk(for_secrets) | {"kid": "secrets", "use": "enc"},
        public_jwk(curve) | {"kid": "curve"},
        {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "oct"},
        {"kty": "RSA", "kid": "broken", "n": 1},
        "rubbish",
        *issuer.published(),
    ]
    issuer.trouble["jwks"] = web.json_response({"keys": shown})
    claims = issuer.claims("ann")
    with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
        tokens = [jwt.encode(claims, weak, "RS256", {"kid": "weak"})]
    tokens += [
        jwt.encode(claims, for_secrets, "RS256", {"kid": "secrets"}),
        raw_token({"alg": "HS256", "kid": "oct"}, claims, b"x"),
        raw_token({"alg": "RS256", "kid": "broken"}, claims, b"x"),
        raw_token({"alg": "ES256", "kid": "curve"}, claims, b"x" * 64),
    ]
    async with users(clock, issuer) as known:
        for token in tokens:
            assert type(await refusal(known, token)) is Unauthenticated
        assert await ask(known, jwt.encode(claims, curve, "ES384", {"kid": "curve"})) == ANN
        assert await ask(known, issuer.token()) == ANN


RUBBISH = {
    "an error": web.Response(status=500),
    "a page": web.Response(text="<html>"),
    "a list": web.Response(text="[]"),
    "depth": web.Response(text="[" * 100_000),
    "too much": web.Response(body=b"{}" + b" " * (2 << 20)),
    "elsewhere": web.Response(status=302, headers={"Location": "elsewhere"}),
}


@pytest.mark.parametrize("what", RUBBISH)
@pytest.mark.parametrize("part", ["openid-configuration", "jwks", "userinfo"])
async def test_an_issuer_that_talks_rubbish_is_away_until_it_does_not(
    issuer: Issuer, clock: Clock, part: str, what: str
) -> None:
    issuer.trouble[part] = RUBBISH[what]
    issuer.known["ann"] = MEMBER
    token = issuer.token()
    async with users(clock, issuer, oidc_groups=GROUPS) as known:
        for _ in range(5):
            problem = await refusal(known, token)
            assert type(problem) is Unavailable
            assert problem.retry_after_s == PAUSE_S
        assert issuer.asked[part] == 1
        assert issuer.asked["elsewhere"] == 0
        issuer.trouble.clear()
        clock.now += PAUSE_S
        assert await ask(known, token) == ANN


@pytest.mark.parametrize(
    "description",
    [
        {"issuer": "https://evil.example.org"},
        {"jwks_uri": "http://example.org/jwks"},
        {"jwks_uri": ""},
        {"jwks_uri": "file:///etc/passwd"},
        {"userinfo_endpoint": "http://example.org/userinfo"},
    ],
)
async def test_an_issuer_that_describes_another_or_sends_us_into_the_open_is_not_followed(
    issuer: Issuer, clock: Clock, description: dict[str, str]
) -> None:
    issuer.description = description
    async with users(clock, issuer) as known:
        assert type(await refusal(known, issuer.token())) is Unavailable
    assert issuer.asked == {"openid-configuration": 1}


async def test_one_issuer_that_hangs_or_is_not_there_is_no_trouble_for_another(
    issuer: Issuer, clock: Clock
) -> None:
    async with open_issuer() as gone:
        absent = gone.token()
    async with open_issuer() as slow, users(clock, issuer, slow, gone) as known:
        slow.trouble["openid-configuration"] = never = asyncio.Event()
        hanging = asyncio.gather(*(refusal(known, slow.token(f"u{n}")) for n in range(40)))
        await until(lambda: _true(slow.asked))
        async with asyncio.timeout(3):
            assert "does not answer" in (await refusal(known, absent)).detail
            assert await ask(known, issuer.token()) == ANN
        async with asyncio.timeout(10):
            assert {type(problem) for problem in await hanging} == {Unavailable}
        assert slow.asked == {"openid-configuration": 1}
        never.set()
        clock.now += PAUSE_S
        assert await ask(known, slow.token()) == ANN


async def test_a_token_that_the_issuer_refuses_is_refused(issuer: Issuer, clock: Clock) -> None:
    issuer.trouble["userinfo"] = web.Response(status=401)
    async with users(clock, issuer, oidc_groups=GROUPS) as known:
        for _ in range(3):
            assert type(await refusal(known, issuer.token())) is Unauthenticated


async def test_no_log_line_has_a_token(
    issuer: Issuer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.trouble["userinfo"] = web.Response(status=500)
    caplog.set_level(logging.DEBUG)
    token = issuer.token()
    with structlog.testing.capture_logs() as lines:
        async with users(clock, issuer, oidc_groups=GROUPS) as known:
            await refusal(known, token)
    written = f"{lines} {caplog.text}"
    assert "issuer.unusable" in written
    for secret in (*token.split("."), hashlib.sha256(token.encode()).hexdigest()):
        assert secret not in written


@pytest.mark.parametrize(
    "urls",
    [
        "http://example.org",
        "example.org",
        "https://",
        "https://u:p@example.org",
        "https://a,ftp://b",
        "https://a:x",
    ],
)
async def test_an_issuer_in_the_open_is_a_wrong_setting(urls: str) -> None:
    with pytest.raises(SettingsError, match="OIDC_ISSUERS"):
        async with open_oidc_users(Settings(oidc_issuers=urls)):
            pass


def test_loopback_is_private_only_where_it_is_meant() -> None:
    assert is_private("https://example.org/realms/x", loopback=False)
    assert is_private("http://[::1]:80/", loopback=True)
    assert not is_private("http://127.0.0.1/", loopback=False)
    assert not is_private("http://127.0.0.1.example.org/", loopback=True)
