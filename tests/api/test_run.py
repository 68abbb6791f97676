"""`/run`: one call, its answer, and its end when nobody waits any more."""

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.types import Message

from tests.api.gateway_rig import Gateway, eventually, exists, leave_once, open_gateway, scope

COPY = 'cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/copy"'


async def test_the_scripts_text_is_the_answer(gateway: Gateway) -> None:
    await gateway.deploy("says", "echo hello")
    answer = await gateway.http.post("/run/says")
    assert (answer.status_code, answer.text) == (200, "hello\n")
    assert answer.headers["content-type"].startswith("text/plain")


async def test_a_file_comes_as_base64_or_as_it_is(gateway: Gateway) -> None:
    await gateway.deploy("copies", COPY)
    content = bytes(range(256)) * 1000
    encoded = await gateway.http.post("/run/copies", content=base64.b64encode(content))
    assert base64.b64decode(encoded.text, validate=True) == content
    headers = {"Accept": "application/octet-stream"}
    raw = await gateway.http.post("/run/copies", content=content, headers=headers)
    assert raw.content == content


async def test_a_chunked_body_is_taken(gateway: Gateway) -> None:
    await gateway.deploy("chunks")

    async def chunks() -> AsyncIterator[bytes]:
        for piece in (b"one ", b"", b"two ", b"three!"):
            yield piece

    assert (await gateway.http.post("/run/chunks", content=chunks())).text == "one two three!"


async def test_a_script_that_fails_is_a_500_with_its_text(gateway: Gateway) -> None:
    await gateway.deploy("fails", "echo what went wrong; exit 3")
    answer = await gateway.http.post("/run/fails")
    assert (answer.status_code, answer.text) == (500, "what went wrong\n")


async def test_a_script_past_its_limit_is_a_504_that_names_it(gateway: Gateway) -> None:
    await gateway.deploy("overdue", "sleep 60", annotations={"oscar-gateway/call-seconds": "1"})
    answer = await gateway.http.post("/run/overdue")
    assert answer.status_code == 504
    assert "1 s" in answer.text


async def test_a_body_beyond_the_limit_is_refused_and_nothing_runs(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, working=False, run_body_limit=1000) as gateway:
        await gateway.deploy("small", f"touch {tmp_path}/ran")

        async def undeclared() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b"x" * 500

        assert (await gateway.http.post("/run/small", content=b"x" * 1001)).status_code == 413
        assert (await gateway.http.post("/run/small", content=undeclared())).status_code == 413
        assert not (tmp_path / "ran").exists()
        assert (await gateway.http.post("/run/small", content=b"x" * 1000)).status_code == 200


async def test_too_many_calls_at_once_are_told_when_to_come_again(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, working=False, calls_live_limit=1, calls_waiting_limit=0) as gateway:
        until_told = f"while [ ! -e {tmp_path}/go ]; do sleep 0.05; done"
        await gateway.deploy("busy", f"touch {tmp_path}/began; {until_told}")
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            first = tasks.create_task(gateway.http.post("/run/busy"))
            await eventually(lambda: exists(tmp_path / "began"))
            second = await gateway.http.post("/run/busy")
            (tmp_path / "go").touch()
        assert first.result().status_code == 200
        assert second.status_code == 503
        assert int(second.headers["retry-after"]) >= 1


async def test_a_client_that_leaves_ends_the_script(gateway: Gateway, tmp_path: Path) -> None:
    await gateway.deploy("deserted", f"touch {tmp_path}/began; sleep 5; touch {tmp_path}/finished")
    async with asyncio.timeout(4):
        sent = await leave_once(gateway, scope(gateway, "/run/deserted"), tmp_path / "began")
    assert sent == []
    lines = (await gateway.http.get("/system/logs")).json()["logs"]
    assert [entry["status"] for entry in lines if entry["path"] == "/run/deserted"] == [499]
    assert not (tmp_path / "finished").exists()


async def test_a_client_that_leaves_amid_its_body_runs_nothing(gateway: Gateway, tmp_path: Path) -> None:
    await gateway.deploy("half", f"touch {tmp_path}/ran")
    messages: list[Message] = [
        {"type": "http.request", "body": b"half of", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        raise AssertionError(message)

    await gateway.app(scope(gateway, "/run/half"), receive, send)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kind", ["run", "job"])
async def test_only_the_right_token_or_the_administrator_may_call(gateway: Gateway, kind: str) -> None:
    token = await gateway.deploy(f"guarded-{kind}", "echo called")
    other = await gateway.deploy(f"other-{kind}")
    path = f"/{kind}/guarded-{kind}"
    good = 200 if kind == "run" else 201
    for wrong in (other, token[:-1] + "x", token[:-1], "0" * 64, ""):
        answer = await gateway.bare.post(path, headers={"Authorization": f"Bearer {wrong}"})
        assert (answer.status_code, answer.content) == (401, b"")
    assert (await gateway.bare.post(path, headers={"Authorization": f"bearer {token}"})).status_code == good
    assert (await gateway.http.post(path)).status_code == good
    assert (await gateway.http.post(path, auth=("oscar", "wrong"))).status_code == 401
    assert (await gateway.http.post(f"/{kind}/absent")).status_code == 404
