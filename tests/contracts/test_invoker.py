"""The invoker's promises, held by every implementation: a new one adds its name to the list."""

import asyncio
import base64
import contextlib
import io
import itertools
import os
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from gateway.backends.invoker.local import LIVE, open_local_invoker
from gateway.backends.invoker.protocol import Call, Invoker, Standing
from gateway.domain.body import pieces_of
from gateway.domain.definition import Service
from gateway.domain.deployed import Deployed
from gateway.domain.problems import TimedOut, TooLarge, Unavailable
from gateway.staging import outputs
from tests.contracts.container_engine import IMAGE
from tests.contracts.local_executor import open_executor
from tests.polling import until
from tests.servers.knative import Knative, knative

LOCAL = ["process", pytest.param("docker", marks=pytest.mark.services)]
INVOKERS = [*LOCAL, pytest.param("knative", marks=[pytest.mark.cluster, pytest.mark.timeout(600)])]
AT = datetime(2026, 11, 24, 3, tzinfo=UTC)
numbers = itertools.count(1)


@dataclass
class _Given:
    """What services are called and made of in the test that runs."""

    name: str = "called"
    image: str = IMAGE


GIVEN = _Given()


@asynccontextmanager
async def opened(name: str, folder: Path, *, live: int = 4, waiting: int = 4) -> AsyncIterator[Invoker]:
    async with open_executor(name) as executor:
        opening = open_local_invoker(
            executor, folder, live_limit=live, waiting_limit=waiting, output_limit=1 << 20
        )
        async with opening as invoker:
            yield invoker


@pytest.fixture(params=LOCAL)
def implementation(request: pytest.FixtureRequest) -> str:
    """For promises that only this machine's own invokers make, or that are seen from here only."""
    return str(request.param)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Knative]:
    with knative() as cluster:
        yield cluster


@pytest.fixture(params=INVOKERS)
def chosen(request: pytest.FixtureRequest) -> str | Knative:
    if request.param != "knative":
        return str(request.param)
    server: Knative = request.getfixturevalue("cluster")
    return server


@pytest.fixture
async def invoker(
    chosen: str | Knative, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Invoker]:
    if isinstance(chosen, str):
        async with opened(chosen, tmp_path) as local:
            yield local
        return
    # A name of its own: what an earlier test left goes in its own time.
    monkeypatch.setattr(GIVEN, "name", f"called-{next(numbers)}")
    monkeypatch.setattr(GIVEN, "image", chosen.script_image)
    async with chosen.invoker() as (invoker, _):
        yield invoker
        await invoker.retire(GIVEN.name)


def deployed(script: str, **more: object) -> Deployed:
    """Each is newer than the one before."""
    definition = {"name": GIVEN.name, "image": GIVEN.image, "script": script, "token": "t", **more}
    return Deployed(Service.model_validate(definition), "uid", AT, AT + timedelta(seconds=next(numbers)))


async def chunks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 1 << 16):
        yield body[start : start + (1 << 16)]


def call(script: str, body: bytes = b"", *, raw: bool = False, limit_s: float = 20.0, **more: object) -> Call:
    return Call(
        f"call-{os.urandom(8).hex()}", deployed(script, **more), chunks(body), raw=raw, limit_s=limit_s
    )


async def answered(invoker: Invoker, asked: Call) -> tuple[int, bytes, str]:
    await settled(invoker, asked.deployed)
    async with invoker.invoke(asked) as reply:
        body = b"".join([chunk async for chunk in pieces_of(reply.body)])
        headers = dict(reply.headers)
        assert headers[b"content-length"] == b"%d" % len(body)
        return reply.status, body, headers[b"content-type"].decode()


async def settled(invoker: Invoker, deployed: Deployed) -> None:
    """Until it can answer at once."""

    async def ready() -> bool:
        warm = invoker.standing(deployed.service.name) is Standing.WARM
        return warm and (await invoker.status(deployed)).state == "ready"

    await invoker.prepare(deployed)
    await until(ready, within_s=120)


TEXT = "text/plain; charset=utf-8"


async def test_the_answer_is_what_the_script_printed_to_standard_output(invoker: Invoker) -> None:
    asked = call('cat "$INPUT_FILE_PATH"; echo oops >&2', b'{"say": "hi"}')
    assert await answered(invoker, asked) == (200, b'{"say": "hi"}', TEXT)


async def test_a_body_of_base64_reaches_the_script_decoded(invoker: Invoker) -> None:
    body = os.urandom(300_000)
    asked = call('cat "$INPUT_FILE_PATH"', base64.b64encode(body))
    assert (await answered(invoker, asked))[1] == body


async def test_one_output_file_is_answered_as_base64_or_raw(invoker: Invoker) -> None:
    script = 'cat "$INPUT_FILE_PATH" > "$TMP_OUTPUT_DIR/out.png"; echo chatter'
    body = b"\x00\xff not text"
    assert await answered(invoker, call(script, body)) == (200, base64.b64encode(body), TEXT)
    assert await answered(invoker, call(script, body, raw=True)) == (200, body, "application/octet-stream")


async def test_several_output_files_are_answered_as_a_zip(invoker: Invoker) -> None:
    script = 'cd "$TMP_OUTPUT_DIR"; mkdir sub; echo 1 > a; echo 2 > sub/b'
    _, body, _ = await answered(invoker, call(script))
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(body))) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {"a": b"1\n", "sub/b": b"2\n"}


async def test_links_a_script_leaves_are_not_followed(invoker: Invoker) -> None:
    script = 'cd "$TMP_OUTPUT_DIR"; ln -s /etc/passwd a; ln -s / b; mkfifo c; echo text'
    assert (await answered(invoker, call(script)))[:2] == (200, b"text\n")


async def test_a_script_that_fails_is_answered_with_500_and_what_it_printed(invoker: Invoker) -> None:
    assert await answered(invoker, call("echo no such city; exit 3")) == (500, b"no such city\n", TEXT)
    silent = call("echo hidden >&2; exit 23")
    assert await answered(invoker, silent) == (500, b"the script ended with exit status 23\n", TEXT)


async def test_past_its_limit_the_script_is_ended_and_the_limit_named(invoker: Invoker) -> None:
    with pytest.raises(TimedOut, match=r"0\.5 s"):
        await answered(invoker, call("exec sleep 60", limit_s=0.5))


async def test_a_script_that_uses_too_much_memory_is_answered_with_one_line(invoker: Invoker) -> None:
    script = (
        "a=0123456789abcdef; for i in $(seq 18); do a=$a$a; done; "
        "for i in $(seq 50); do eval b$i=\\$a; sleep 0.05; done; echo survived"
    )
    asked = call(script, memory="32Mi")
    assert await answered(invoker, asked) == (500, b"the script was ended at its memory limit\n", TEXT)


async def test_output_over_a_limit_is_told_never_cut(invoker: Invoker) -> None:
    status, body, _ = await answered(invoker, call("head -c 2000000 /dev/zero"))
    assert (status, b"LOG_LIMIT" in body) == (500, True)
    status, body, _ = await answered(invoker, call('head -c 2000000 /dev/zero > "$TMP_OUTPUT_DIR/a"'))
    assert (status, b"OUTPUT_LIMIT" in body) == (500, True)


async def test_more_output_files_than_are_kept_are_told(
    implementation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outputs, "FILES_LIMIT", 100)
    script = 'cd "$TMP_OUTPUT_DIR"; seq 101 | while read n; do : > $n; done'
    async with opened(implementation, tmp_path) as invoker:
        status, body, _ = await answered(invoker, call(script))
    assert (status, body) == (500, b"the script left more than 100 output files, which is the limit\n")


async def test_stderr_goes_to_the_services_log_and_leaves_with_it(invoker: Invoker) -> None:
    asked = call("echo one >&2; echo two >&2; echo out")
    assert not (await invoker.log(asked.deployed, tail=10)).available
    await answered(invoker, asked)
    found = await invoker.log(asked.deployed, tail=10)
    assert (found.available, [line.message for line in found.lines]) == (True, ["one", "two"])
    assert all(line.at is not None and line.at.tzinfo is UTC for line in found.lines)
    assert [line.message for line in (await invoker.log(asked.deployed, tail=1)).lines] == ["two"]
    await invoker.retire(asked.deployed.service.name)
    assert not (await invoker.log(asked.deployed, tail=10)).available
    await invoker.retire(asked.deployed.service.name)


async def test_a_body_that_breaks_off_executes_nothing(invoker: Invoker, tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"some"
        raise TooLarge("too large")

    asked = call("echo executed >&2")
    with pytest.raises(TooLarge):
        await answered(invoker, Call(asked.id, asked.deployed, broken()))
    assert not (await invoker.log(asked.deployed, tail=10)).available


async def test_its_status_is_ready(invoker: Invoker) -> None:
    await invoker.ready()
    one = deployed("echo")
    await settled(invoker, one)
    assert (await invoker.status(one)).state == "ready"


async def test_calls_over_the_limit_wait_and_those_over_that_are_refused(
    implementation: str, tmp_path: Path
) -> None:
    script = "sleep 1"
    async with opened(implementation, tmp_path, live=1, waiting=1) as invoker:
        async with asyncio.TaskGroup() as tasks:
            allowed = [tasks.create_task(answered(invoker, call(script))) for _ in range(2)]
            await until(lambda: _active(invoker, 2))
            with pytest.raises(Unavailable, match="nothing was executed") as refused:
                await answered(invoker, call(script))
        assert refused.value.retry_after_s
        assert [task.result()[0] for task in allowed] == [200, 200]
        assert (await answered(invoker, call("echo free")))[1] == b"free\n"


async def test_a_call_that_gets_no_place_in_its_time_was_not_executed(
    implementation: str, tmp_path: Path
) -> None:
    async with opened(implementation, tmp_path, live=1) as invoker:
        long = asyncio.create_task(answered(invoker, call("sleep 0.8")))
        await until(lambda: _active(invoker, 1))
        with pytest.raises(Unavailable, match="nothing was executed"):
            await answered(invoker, call("echo executed >&2", limit_s=0.2))
        assert (await long)[0] == 200
        assert not (await invoker.log(deployed("echo"), tail=1)).available


async def _active(invoker: Invoker, count: int) -> bool:
    return (await invoker.status(deployed("echo"))).active_instances == count


async def test_leaving_early_ends_the_script_and_nothing_of_it_stays(
    implementation: str, tmp_path: Path
) -> None:
    async with opened(implementation, tmp_path, live=1) as invoker:
        leaving = asyncio.create_task(answered(invoker, call("sleep 60")))
        await until(lambda: _begun(implementation, tmp_path))
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert scripts_in(tmp_path) == 0
        assert list((tmp_path / LIVE).iterdir()) == []
        async with asyncio.timeout(10):
            assert (await answered(invoker, call("echo next")))[1] == b"next\n"


async def _begun(implementation: str, folder: Path) -> bool:
    """In a container it cannot be seen from here: there, as soon as the body is decoded."""
    if implementation == "process":
        return scripts_in(folder) > 0
    return any(
        not (path.parents[1] / "body").exists() for path in (folder / LIVE).glob("*/input/event-file-*")
    )


def scripts_in(folder: Path) -> int:
    """Processes of this machine whose input is below the folder."""
    found = 0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            found += process.environ().get("TMP_INPUT_DIR", "").startswith(str(folder))
    return found


async def test_what_a_killed_gateway_left_is_removed_at_the_start(
    implementation: str, tmp_path: Path
) -> None:
    left = tmp_path / LIVE / "call-left"
    (left / "input").mkdir(parents=True)
    async with opened(implementation, tmp_path):
        assert not left.exists()


async def test_a_call_that_can_be_begun_at_once_is_the_same_call(invoker: Invoker) -> None:
    """Who cannot begin it did nothing."""
    asked = call('cat "$INPUT_FILE_PATH"', b"first")
    assert (await answered(invoker, asked))[:2] == (200, b"first")
    told = asyncio.Event()
    again = Call(asked.id + "-2", asked.deployed, b"second", limit_s=20.0)
    begun = invoker.begin(again, told.set)
    if begun is None:
        return
    async with asyncio.timeout(20):
        await told.wait()
        reply = begun.whole()
        if reply is not None:
            assert (reply.status, reply.body) == (200, b"second")
            begun.drop()
            return
        async with begun as entered:
            body = b"".join([piece async for piece in pieces_of(entered.body)])
    assert (entered.status, body) == (200, b"second")
