"""One error shape, from every kind of problem and of client."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from gateway.api.answers import json_answer, text_answer
from gateway.api.errors import STATUSES, Errors
from gateway.domain import problems
from gateway.domain.problems import Problem


def kinds(base: type[Problem] = Problem) -> Iterator[type[Problem]]:
    for kind in base.__subclasses__():
        yield kind
        yield from kinds(kind)


def client(error: Exception) -> httpx.AsyncClient:
    """Of an app in which everything goes wrong in this way."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    return httpx.AsyncClient(transport=httpx.ASGITransport(Errors(app)), base_url="http://gateway")


def test_every_kind_of_problem_has_a_status_of_its_own() -> None:
    assert {kind for kind in kinds() if kind.__module__ == problems.__name__} == set(STATUSES) - {Problem}
    assert len(set(STATUSES.values())) == len(STATUSES)


def test_the_documentation_has_every_problem_with_its_status() -> None:
    page = (Path(__file__).parents[2] / "docs" / "http-api.md").read_text()
    documented = re.findall(r"^\| `/problems/([a-z-]+)` \| (\d+) \|", page, re.MULTILINE)
    assert documented == [(kind.kind, str(status)) for kind, status in STATUSES.items()]


@pytest.mark.parametrize("kind", [kind for kind in STATUSES if kind is not problems.Unauthenticated])
async def test_oscars_routes_tell_a_problem_in_one_line_of_text(kind: type[Problem]) -> None:
    async with client(kind("one\nand  another")) as http:
        answer = await http.get("/system/services/x")
    assert (answer.status_code, answer.text) == (STATUSES[kind], "one and another")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


async def test_a_refused_credential_is_an_empty_401_that_names_the_scheme() -> None:
    async with client(problems.Unauthenticated("wrong password")) as http:
        asked, called = await http.get("/system/info"), await http.post("/run/x")
    assert (asked.status_code, asked.content) == (401, b"")
    assert asked.headers["www-authenticate"] == 'Basic realm="Authorization Required"'
    assert called.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("kind", list(STATUSES))
async def test_our_routes_tell_a_problem_as_rfc_9457(kind: type[Problem]) -> None:
    async with client(kind("why", field="body")) as http:
        answer = await http.get("/v1/jobs/x")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": f"/problems/{kind.kind}",
        "title": kind.title,
        "status": STATUSES[kind],
        "detail": "why",
        "instance": "/v1/jobs/x",
        "retryable": kind.retryable,
        "field": "body",
    }


async def test_clients_that_accept_problem_details_get_them_on_oscars_routes_too() -> None:
    async with client(problems.NotFound("gone")) as http:
        answer = await http.get("/system/services/x", headers={"Accept": "application/problem+json"})
    assert json.loads(answer.content)["type"] == "/problems/not-found"


async def test_waiting_that_helps_is_told_in_seconds() -> None:
    async with client(problems.Unavailable("busy", retry_after_s=7)) as http:
        assert (await http.get("/")).headers["retry-after"] == "7"
    async with client(problems.Unavailable("away")) as http:
        assert int((await http.get("/")).headers["retry-after"]) > 0
    async with client(problems.Invalid("wrong")) as http:
        assert "retry-after" not in (await http.get("/")).headers


async def test_an_unexpected_error_tells_nothing_of_the_inside() -> None:
    async with client(KeyError("secret of the house")) as http:
        answer = await http.get("/system/info")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert "request" in answer.text


async def test_an_answer_that_breaks_midway_is_cut_off_rather_than_ended() -> None:
    sent = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise problems.TimedOut("too long")

    async def send(message: object) -> None:
        sent.append(message)

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    await Errors(app)({"type": "http", "path": "/", "headers": []}, receive, send)
    assert sent[-1] == {"type": "http.response.body", "body": b"half", "more_body": True}


def test_answers_are_compact_keep_their_order_and_their_characters() -> None:
    answer = json_answer({"name": "ñandú", "a": [1, None], "lone": "\udc80"})
    assert answer.body == '{"name":"ñandú","a":[1,null],"lone":"\\udc80"}'.encode()
    assert json.loads(bytes(answer.body))["lone"] == "\udc80"
    assert text_answer("漢字").body == "漢字".encode()
