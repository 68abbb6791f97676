"""The table of routes, walked: credentials, spellings, and what is described."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.api.guard import Access
from gateway.api.openapi import document
from gateway.api.operations import Operation
from gateway.api.routes import OPERATIONS
from tests.api.gateway_rig import EVENTS_TOKEN, Gateway, open_gateway

PUBLIC = {"/health", "/ready", "/openapi.json"}
CLOSED = [operation for operation in OPERATIONS if operation.path not in PUBLIC]
REFUSED = [
    "",
    "Basic b3NjYXI6d3Jvbmc=",
    "Bearer " + "0" * 63,
    "Basic",
    "Bearer",
    "Basic %%%",
    "Basic bm9jb2xvbg==",
    "Digest x",
]


def name(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


def path_of(operation: Operation) -> str:
    return re.sub(r"{\w+}", "absent", operation.path)


@pytest.mark.parametrize("operation", CLOSED, ids=name)
async def test_no_route_but_three_answers_without_a_credential(
    gateway: Gateway, operation: Operation
) -> None:
    for authorization in REFUSED:
        headers = {"Authorization": authorization} if authorization else {}
        answer = await gateway.bare.request(operation.method, path_of(operation), headers=headers)
        assert answer.status_code == 401
        if not operation.path.startswith("/v1"):
            assert answer.content == b""


@pytest.mark.parametrize("operation", CLOSED, ids=name)
async def test_a_services_token_opens_its_own_calls_and_nothing_else(
    gateway: Gateway, operation: Operation
) -> None:
    if (await gateway.http.get("/system/services/tokened")).status_code == 404:
        await gateway.deploy("tokened", "true")
    token = (await gateway.http.get("/system/services/tokened")).json()["token"]
    path = re.sub(r"{\w+}", "tokened", operation.path)
    answer = await gateway.bare.request(operation.method, path, headers={"Authorization": f"Bearer {token}"})
    if operation.access is Access.SERVICE:
        assert answer.status_code in operation.answers
    else:
        assert answer.status_code == 401


@pytest.mark.parametrize("path", sorted({path_of(operation) for operation in OPERATIONS}))
async def test_both_spellings_are_served_without_a_redirect(gateway: Gateway, path: str) -> None:
    plain = await gateway.http.get(path)
    for spelling in (f"{path}/", f"//{path[1:]}", f"//{path[1:]}/"):
        url = httpx.URL(scheme="http", host="gateway", raw_path=spelling.encode())
        other = await gateway.http.get(url)
        assert other.status_code == plain.status_code
        assert other.headers.get("content-type") == plain.headers.get("content-type")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/no/such/page"),
        ("DELETE", "/system/services/"),
        ("DELETE", "/system/services"),
        ("GET", "/run/x"),
        ("GET", "/job/x"),
        ("POST", "/run"),
        ("POST", "/run/a/b"),
        ("PATCH", "/system/config"),
        ("BREW", "/system/services/x"),
        ("POST", "/system/services/%2e%2e/%2e%2e/health"),
    ],
)
async def test_paths_and_methods_there_are_not_get_oscars_404(
    gateway: Gateway, method: str, path: str
) -> None:
    answer = await gateway.http.request(method, path)
    assert (answer.status_code, answer.text) == (404, "404 page not found")


async def test_the_same_under_v1_is_a_problem(gateway: Gateway) -> None:
    answer = await gateway.http.patch("/v1/jobs/x")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


async def test_the_webhook_is_closed_without_a_token_in_the_settings(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, working=False, events_token="") as gateway:
        for authorization in ("Bearer ", "Bearer", f"Bearer {EVENTS_TOKEN}"):
            answer = await gateway.bare.post("/events", headers={"Authorization": authorization})
            assert answer.status_code == 401


async def test_every_route_is_described(gateway: Gateway) -> None:
    described = (await gateway.bare.get("/openapi.json")).json()
    assert described["openapi"].startswith("3.1.")
    found = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
    assert found == {(operation.method, operation.path) for operation in OPERATIONS}


def test_the_description_holds_together() -> None:
    described: dict[str, Any] = document(OPERATIONS)
    operations = [one for methods in described["paths"].values() for one in methods.values()]
    assert len({one["operationId"] for one in operations}) == len(OPERATIONS)
    schemes = {scheme for one in operations for choice in one["security"] for scheme in choice}
    assert schemes == set(described["components"]["securitySchemes"])
    for path, methods in described["paths"].items():
        for one in methods.values():
            assert {p["name"] for p in one["parameters"] if p["in"] == "path"} == set(
                re.findall(r"{(\w+)}", path)
            )
            assert any(status.startswith("2") for status in one["responses"])
            assert one["summary"]


def test_the_documentation_names_every_route() -> None:
    page = (Path(__file__).parents[2] / "docs" / "http-api.md").read_text()
    for operation in OPERATIONS:
        assert f"`{operation.method} {operation.path}`" in page, name(operation)
