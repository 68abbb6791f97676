"""What every identity promises: a new one starts by adding its name to IDENTITIES."""

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.backends.identity.administrator import Administrator, parse_basic
from gateway.backends.identity.by_scheme import ByScheme
from gateway.backends.identity.oidc.users import OidcUsers, Terms
from gateway.backends.identity.protocol import Caller, Identity
from gateway.domain.problems import Unauthenticated

IDENTITIES = ["administrator", "administrator beside users"]
USERNAME, PASSWORD = "oscar", "pass:word é"


@pytest.fixture(params=IDENTITIES)
def identity(request: pytest.FixtureRequest) -> Identity:
    match request.param:
        case "administrator":
            return Administrator(username=USERNAME, password=PASSWORD)
        case "administrator beside users":
            users = OidcUsers({}, Terms(frozenset(), audience=""), time.monotonic)
            return ByScheme(bearer=users, other=Administrator(username=USERNAME, password=PASSWORD))
        case other:
            raise ValueError(other)


def basic(text: str | bytes, scheme: str = "Basic") -> str:
    raw = text.encode() if isinstance(text, str) else text
    return f"{scheme} {base64.b64encode(raw).decode()}"


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC", " Basic "])
async def test_the_administrator_is_known_by_name_and_password(identity: Identity, scheme: str) -> None:
    assert await identity.caller(basic(f"{USERNAME}:{PASSWORD}", scheme)) == Caller(
        "cluster_admin", admin=True
    )


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic b3NjYXI",
        basic(f"{USERNAME}:{PASSWORD}").replace("b3", "b3!"),
        "Basic é",
        basic("oscar"),
        basic(b"oscar:\xff"),
        basic(f"{USERNAME}:"),
        basic(f":{PASSWORD}"),
        basic(":"),
        basic(f"{USERNAME}:{PASSWORD} "),
        basic(f"{USERNAME.upper()}:{PASSWORD}"),
        basic(f"other:{PASSWORD}"),
        basic(f"{USERNAME}:other"),
        basic(f"{USERNAME}:{PASSWORD}", "Bearer"),
        f"{USERNAME}:{PASSWORD}",
    ],
)
async def test_anything_else_is_refused_without_repeating_it(identity: Identity, header: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        await identity.caller(header)

    assert PASSWORD not in refused.value.detail
    assert refused.value.__cause__ is None


@given(header=st.text())
def test_any_text_is_a_credential_or_refused(header: str) -> None:
    try:
        username, _ = parse_basic(header)
    except Unauthenticated:
        return
    assert ":" not in username


@given(credential=st.binary() | st.binary().map(base64.b64encode))
def test_any_bytes_after_the_scheme_are_a_credential_or_refused(credential: bytes) -> None:
    try:
        username, password = parse_basic(f"Basic {credential.decode('latin-1')}")
    except Unauthenticated:
        return
    assert base64.b64decode(credential) == f"{username}:{password}".encode()


@given(username=st.text().filter(lambda text: ":" not in text), password=st.text())
def test_every_name_and_password_can_be_said(username: str, password: str) -> None:
    assert parse_basic(basic(f"{username}:{password}")) == (username, password)
