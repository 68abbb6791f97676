"""Whatever is sent, the answer has a status that we mean to give, and tells nothing of the inside."""

from urllib.parse import quote

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.api.errors import STATUSES
from gateway.api.operations import Operation
from gateway.api.routes import OPERATIONS
from tests.api.gateway_rig import EVENTS_TOKEN, Gateway

MEANT = {200, 201, 204, *STATUSES.values()} - {500, 503, 507}
TEXTS = st.text(st.characters(codec="utf-8"), max_size=40) | st.sampled_from(
    ["", "..", "%", "null", "true", "-1", "9" * 30, "1e9", "\x7f", "﻿", "a" * 300, "standing"]
)
HEADER_NAMES = [
    "Authorization",
    "Accept",
    "Prefer",
    "Idempotency-Key",
    "Content-Type",
    "X-Request-ID",
    "Origin",
]
HEADERS = st.dictionaries(
    st.sampled_from(HEADER_NAMES), st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60)
)
BODIES = st.binary(max_size=200) | st.sampled_from(
    [
        b"{}",
        b"[]",
        b"null",
        b'"x"',
        b"{" * 5000,
        b'{"name":null,"image":[],"script":{}}',
        b'{"name":"\\ud800","image":"x","script":"x"}',
        b'{"bucket_name":"\\u0000"}',
        b'{"Records":[{"s3":{"bucket":{"name":"b"},"object":{"key":"%ff"}}}]}',
        b"a: &a [*a]",
        b"\xef\xbb\xbf{}",
    ]
)


NAMES = sorted({"x", *(name for operation in OPERATIONS for name in operation.query)})


@pytest_asyncio.fixture(loop_scope="session")
async def standing(gateway: Gateway) -> Gateway:
    """With a service and a bucket of that name, which a request may find and remove."""
    if (await gateway.http.get("/system/services/standing")).status_code == 404:
        await gateway.deploy("standing", "cat $INPUT_FILE_PATH")
    await gateway.http.post("/system/buckets", json={"bucket_name": "standing"})
    return gateway


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(name=TEXTS, query=st.dictionaries(st.sampled_from(NAMES), TEXTS), headers=HEADERS, body=BODIES)
async def test_no_request_breaks_an_endpoint(
    standing: Gateway,
    operation: Operation,
    name: str,
    query: dict[str, str],
    headers: dict[str, str],
    body: bytes,
) -> None:
    http = standing.bare if "Authorization" in headers else standing.http
    if operation.path == "/events":
        headers = {**headers, "Authorization": f"Bearer {EVENTS_TOKEN}"}
    answer = await http.request(
        operation.method,
        path(operation, name),
        params=query,
        headers=[(key.encode(), value.encode("latin-1")) for key, value in headers.items()],
        content=body,
    )
    assert answer.status_code in MEANT, answer.text
    if answer.status_code >= 400:
        assert "\n" not in answer.text
        assert "Traceback" not in answer.text


def path(operation: Operation, name: str) -> str:
    filled = operation.path
    for parameter in ("{service}", "{bucket}", "{job}"):
        filled = filled.replace(parameter, quote(name, safe="") or "%20")
    return filled
