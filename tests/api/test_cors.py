"""What is around every endpoint: pages of other origins, ids of requests."""

from pathlib import Path

import pytest

from tests.api.gateway_rig import Gateway, open_gateway

PREFLIGHT = {
    "Origin": "https://dashboard.example.org",
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,idempotency-key,prefer",
}


@pytest.mark.parametrize("path", ["/system/services", "/run/x", "/job/x", "/v1/jobs"])
async def test_a_page_may_ask_whether_it_may_ask(gateway: Gateway, path: str) -> None:
    answer = await gateway.bare.options(path, headers=PREFLIGHT)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "POST" in answer.headers["access-control-allow-methods"]


@pytest.mark.parametrize("path", ["/health", "/system/info", "/no/such/page"])
async def test_a_page_may_read_answers_refusals_too(gateway: Gateway, path: str) -> None:
    answer = await gateway.bare.get(path, headers={"Origin": "https://dashboard.example.org"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "X-OSCAR-Job-ID" in answer.headers["access-control-expose-headers"]


async def test_only_the_origins_of_the_settings_may(tmp_path: Path) -> None:
    origins = "https://a.example.org https://b.example.org"
    async with open_gateway(tmp_path, working=False, cors_origins=origins) as gateway:
        mine = await gateway.bare.get("/health", headers={"Origin": "https://b.example.org"})
        other = await gateway.bare.get("/health", headers={"Origin": "https://c.example.org"})
    assert mine.headers["access-control-allow-origin"] == "https://b.example.org"
    assert "access-control-allow-origin" not in other.headers


async def test_a_request_keeps_its_id_if_it_can_stand_in_a_log(gateway: Gateway) -> None:
    answer = await gateway.bare.get("/health", headers={"X-Request-ID": "trace-4711"})
    assert answer.headers["x-request-id"] == "trace-4711"
    for insane in ("a b", "x" * 200, "line\tfeed", "ñ"):
        answer = await gateway.bare.get("/health", headers=[(b"X-Request-ID", insane.encode())])
        assert answer.headers["x-request-id"] != insane
        assert len(answer.headers["x-request-id"]) == 16
