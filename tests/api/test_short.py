"""Short calls: what is answered from callbacks is answered as every other call is, and what cannot be is
handed over, before a byte was sent on or under way. Served on real sockets: only those have the short way."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from gateway.api.front import Front
from gateway.wire.connection import Connection
from gateway.wire.request import Request
from tests.api.gateway_rig import Gateway, eventually, open_gateway
from tests.upstream.backend import Backend, Behaviour, Peer, answering, backend

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"


@dataclass
class Watched:
    """The app, and whether it took each request by itself."""

    app: Front
    took: list[bool] = field(default_factory=list)

    def take(self, request: Request) -> bool:
        self.took.append(self.app.take(request))
        return self.took[-1]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@dataclass
class Served:
    gateway: Gateway
    watched: Watched
    backend: Backend
    port: int
    token: str

    async def open(self) -> Peer:
        return Peer(*await asyncio.open_connection("127.0.0.1", self.port))

    async def ask(self, *more: str, body: bytes = b"hi", token: str | None = None, query: str = "") -> bytes:
        """On a connection of its own; the whole answer."""
        async with asyncio.timeout(10):
            peer = await self.open()
            await peer.send(self.head(*more, body=body, token=token, query=query) + body)
            answer = await _answer(peer)
            peer.writer.close()
            return answer

    def head(self, *more: str, body: bytes = b"hi", token: str | None = None, query: str = "") -> bytes:
        credential = more if any("Authorization" in one for one in more) else (self._bearer(token), *more)
        lines = [f"POST /run/echo{query} HTTP/1.1", "Host: gateway", *credential]
        if not any("chunked" in one for one in more):
            lines.append(f"Content-Length: {len(body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def _bearer(self, token: str | None) -> str:
        return f"Authorization: Bearer {self.token if token is None else token}"

    async def warm(self) -> None:
        """A connection to the backend waits for the next call."""
        await self.ask()
        self.watched.took.clear()
        self.backend.seen.clear()

    async def lines(self) -> list[int]:
        """Statuses of the access log, oldest first."""
        told = (await self.gateway.http.get("/system/logs?limit=1000")).json()["logs"]
        return [one["status"] for one in told if one["path"] == "/run/echo"]

    def empty(self) -> bool:
        """Nobody has a place any more."""
        backends = self.gateway.backends
        return not (backends.services._rooms or backends.callers._rooms)


async def _answer(peer: Peer) -> bytes:
    head = await peer.reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    if length:
        return head + await peer.reader.readexactly(int(length[1]))
    return head + await peer.reader.readuntil(b"0\r\n\r\n")


@asynccontextmanager
async def serve(folder: Path, behaviour: Behaviour | None = None, **more: object) -> AsyncIterator[Served]:
    seen: list[tuple[str, bytes]] = []
    async with backend(behaviour or answering(seen, OK)) as one:
        one.seen = seen
        url = f"http://{one.origin.host}:{one.origin.port}"
        async with open_gateway(folder, working=False, invoker_url=url, **more) as gateway:
            assert isinstance(gateway.app, Front)
            watched = Watched(gateway.app)
            config = uvicorn.Config(watched, lifespan="off", log_config=None, proxy_headers=False)
            config.load()
            state = ServerState()
            loop = asyncio.get_running_loop()
            server = await loop.create_server(
                lambda: cast("asyncio.Protocol", Connection(config, state, {})), "127.0.0.1", 0
            )
            token = await gateway.deploy("echo")
            yield Served(gateway, watched, one, server.sockets[0].getsockname()[1], token)
            server.close()
            for connection in list(state.connections):
                connection.shutdown()
            await eventually(lambda: _true(not state.connections and not state.tasks))


async def _true(answer: bool) -> bool:
    return answer


@asynccontextmanager
async def warm(tmp_path: Path) -> AsyncIterator[Served]:
    async with serve(tmp_path) as served:
        await served.warm()
        yield served
        await eventually(lambda: _true(served.empty()))


def plain(raw: bytes | str) -> bytes:
    """Without what differs between two calls anyway."""
    text = raw.encode() if isinstance(raw, str) else raw
    return re.sub(rb"dur=[0-9.]+|x-request-id: [0-9a-f-]+", b"*", text)


def administrator(served: Served) -> str:
    settings = served.gateway.backends.settings
    told = base64.b64encode(f"{settings.oscar_username}:{settings.oscar_password}".encode()).decode()
    return f"Authorization: Basic {told}"


@pytest.mark.parametrize(
    ("more", "query"),
    [
        ((), ""),
        ((), "?a=b&c"),
        (("X-Request-ID: mine", "X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1"), ""),
        (("Connection: X-Hop", "X-Hop: 1", "X-Mine: 1", "Accept: application/octet-stream"), ""),
        (("Connection: close",), ""),
    ],
)
async def test_both_ways_ask_and_answer_byte_for_byte_alike(
    tmp_path: Path, more: tuple[str, ...], query: str
) -> None:
    async with warm(tmp_path) as served:
        short = [await served.ask(*more, query=query) for _ in range(2)]
        assert served.watched.took == [True, True]
        long = await served.ask(*more, administrator(served), query=query)
        assert served.watched.took == [True, True, False]
        assert {plain(one) for one in short} == {plain(long)}
        asked = {(*sorted(plain(head).split(b"\r\n")), body) for head, body in served.backend.seen}
        assert len(asked) == 1
        assert served.token not in served.backend.seen[0][0]
        assert (await served.lines())[-3:] == [200, 200, 200]


async def test_a_head_sent_again_is_a_call_of_its_own(tmp_path: Path) -> None:
    async with warm(tmp_path) as served:
        peer = await served.open()
        answers = []
        for number in range(4):
            await peer.send(served.head() + b"h%d" % number)
            answers.append(await _answer(peer))
        assert served.watched.took == [True] * 4
        assert [body for _, body in served.backend.seen] == [b"h0", b"h1", b"h2", b"h3"]
        assert len({plain(one) for one in answers}) == 1
        ids = [re.findall("x-request-id: (.*)\r", head) for head, _ in served.backend.seen]
        assert len({one for (one,) in ids}) == 4
        peer.writer.close()


async def test_a_head_sent_again_is_let_in_by_what_the_token_is_now(tmp_path: Path) -> None:
    async with warm(tmp_path) as served:
        peer = await served.open()
        await peer.send(served.head() + b"hi")
        assert (await _answer(peer)).startswith(b"HTTP/1.1 200")
        await served.gateway.http.delete("/system/services/echo")
        await peer.send(served.head() + b"hi")
        assert (await _answer(peer)).startswith(b"HTTP/1.1 404")
        await served.gateway.deploy("echo")
        await peer.send(served.head() + b"hi")
        assert (await _answer(peer)).startswith(b"HTTP/1.1 401")
        assert len(served.backend.seen) == 1
        peer.writer.close()


async def test_what_means_nothing_to_us_may_vary_in_a_head_sent_again(tmp_path: Path) -> None:
    async with warm(tmp_path) as served:
        peer = await served.open()
        answers = []
        for number in range(3):
            ids = (f"X-Request-ID: call-{number}", f"Traceparent: 00-{number}")
            client = (f"X-Forwarded-For: 192.0.2.{number}, 10.0.0.1", f"User-Agent: curl/{number} (any)")
            body = b"x" * (number + 1)
            await peer.send(served.head(*ids, *client, body=body) + body)
            answers.append(await _answer(peer))
        assert served.watched.took == [True] * 3
        assert [body for _, body in served.backend.seen] == [b"x", b"xx", b"xxx"]
        for number, ((head, _), answer) in enumerate(zip(served.backend.seen, answers, strict=True)):
            assert re.findall("(?m)^x-request-id: (.*)\r$", head) == [f"call-{number}"]
            assert re.findall("(?m)^traceparent: (.*)\r$", head) == [f"00-{number}"]
            assert re.findall("(?m)^user-agent: (.*)\r$", head) == [f"curl/{number} (any)"]
            way = [f"192.0.2.{number}, 10.0.0.1, 127.0.0.1"]
            assert re.findall("(?m)^x-forwarded-for: (.*)\r$", head) == way
            assert f"x-request-id: call-{number}\r\n".encode() in answer
        peer.writer.close()


async def test_an_id_that_cannot_stand_in_a_log_is_written_anew_in_a_head_sent_again(tmp_path: Path) -> None:
    async with warm(tmp_path) as served:
        peer = await served.open()
        for told in ("good", "bad!", "good"):
            await peer.send(served.head(f"X-Request-ID: {told}") + b"hi")
            await _answer(peer)
        ids = [re.findall("x-request-id: (.*)\r", head) for head, _ in served.backend.seen]
        assert (ids[0], ids[2], len(ids[1])) == (["good"], ["good"], 1)
        assert "bad" not in ids[1][0]
        peer.writer.close()


async def test_what_varies_behind_the_same_length_is_read(tmp_path: Path) -> None:
    async with warm(tmp_path) as served:
        peer = await served.open()
        await peer.send(served.head("X-A: 1") + b"hi")
        await _answer(peer)
        await peer.send(served.head("X-A: 2") + b"hi")
        await _answer(peer)
        await peer.send(served.head("X-A: 2", body=b"longer") + b"longer" + served.head("X-A: 3") + b"hi")
        await _answer(peer)
        await _answer(peer)
        assert [re.findall("x-a: (.)", head)[0] for head, _ in served.backend.seen] == ["1", "2", "2", "3"]
        assert [body for _, body in served.backend.seen] == [b"hi", b"hi", b"longer", b"hi"]
        peer.writer.close()


@pytest.mark.parametrize(
    ("more", "status"),
    [
        (("Prefer: handling=lenient",), b"200"),
        (("Prefer: respond-async",), b"202"),
        (("Origin: https://page.example",), b"200"),
    ],
)
async def test_what_asks_for_more_is_not_taken(tmp_path: Path, more: tuple[str, ...], status: bytes) -> None:
    async with warm(tmp_path) as served:
        peer = await served.open()
        await peer.send(served.head(*more) + b"hi")
        assert (await peer.reader.readuntil(b"\r\n\r\n"))[9:12] == status
        assert True not in served.watched.took
        peer.writer.close()


async def test_without_a_connection_at_hand_or_the_right_token_it_is_not_taken(tmp_path: Path) -> None:
    async with warm(tmp_path) as served:
        assert (await served.ask(token="0" * 64)).startswith(b"HTTP/1.1 401")
        waiting = [asyncio.create_task(served.ask()) for _ in range(2)]
        assert {(await one)[9:12] for one in waiting} == {b"200"}
        assert served.watched.took[0] is False
        assert len(served.backend.seen) == 2


async def test_a_body_over_the_limit_and_a_full_house_are_refused_as_ever(tmp_path: Path) -> None:
    async with serve(tmp_path, run_body_limit=1000, caller_calls_limit=1) as served:
        await served.warm()
        assert (await served.ask(body=b"x" * 1001)).startswith(b"HTTP/1.1 413")
        served.gateway.backends.callers.enter(
            served.gateway.backends.registry.get("echo").uid,  # type: ignore[union-attr]
            places=1,
        )
        assert (await served.ask()).startswith(b"HTTP/1.1 429")
        assert True not in served.watched.took
        assert served.backend.seen == []


@pytest.mark.parametrize("pause_s", [0.0, 0.2])
async def test_a_body_that_comes_in_pieces_is_put_together(tmp_path: Path, pause_s: float) -> None:
    """One that keeps us waiting is a task's from then on."""
    async with warm(tmp_path) as served:
        peer = await served.open()
        await peer.send(served.head(body=b"x" * 50_000))
        await asyncio.sleep(pause_s)
        await peer.send(b"x" * 50_000)
        assert (await _answer(peer)).endswith(b"hello")
        assert served.watched.took == ([] if pause_s else [True])
        assert served.backend.seen[0][1] == b"x" * 50_000
        peer.writer.close()


async def test_an_answer_in_pieces_is_handed_over_as_it_comes(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def behave(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
            await go_on.wait()
            await peer.send(b"3\r\ntwo\r\n0\r\n\r\n")

    async with serve(tmp_path, behave) as served:
        go_on.set()
        await served.warm()
        go_on.clear()
        peer = await served.open()
        await peer.send(served.head() + b"hi")
        async with asyncio.timeout(5):
            assert (await peer.reader.readuntil(b"one\r\n")).count(b"x-oscar-route: direct") == 1
            go_on.set()
            assert await peer.reader.readuntil(b"0\r\n\r\n") == b"3\r\ntwo\r\n0\r\n\r\n"
        assert served.watched.took == [True]
        await eventually(lambda: _true(served.empty()))
        peer.writer.close()


@pytest.mark.parametrize(
    ("dying", "told"), [(b"", b"HTTP/1.1 502"), (OK[:30], b"HTTP/1.1 502"), (OK[:-2], b"HTTP/1.1 200")]
)
async def test_a_backend_that_dies_is_told_or_cut_and_never_asked_twice(
    tmp_path: Path, dying: bytes, told: bytes
) -> None:
    seen: list[bytes] = []

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        seen.append((await peer.request())[1])
        await peer.send(dying)

    async with serve(tmp_path, behave) as served:
        await served.warm()
        peer = await served.open()
        await peer.send(served.head("Connection: close") + b"hi")
        try:
            answer = await peer.reader.read()
            assert answer.startswith(told)
        except ConnectionResetError:
            answer = b""
        assert not answer.endswith(b"hello")
        assert (served.watched.took, seen) == ([True], [b"hi"])
        await eventually(lambda: _true(served.empty()))
        peer.writer.close()


async def _silent(peer: Peer) -> None:
    """After its first answer."""
    await peer.request()
    await peer.send(OK)
    await peer.request()
    await peer.reader.read()


async def test_a_call_past_its_limit_is_a_504_that_names_it(tmp_path: Path) -> None:
    async with serve(tmp_path, _silent, call_limit_s=1) as served:
        await served.warm()
        answer = await served.ask()
        assert answer.startswith(b"HTTP/1.1 504")
        assert b"CALL_LIMIT_S" in answer
        assert (served.watched.took, await served.lines()) == ([True], [200, 504])
        await eventually(lambda: _true(served.empty()))


async def test_a_client_that_leaves_ends_the_call(tmp_path: Path) -> None:
    ended = asyncio.Event()

    async def behave(peer: Peer) -> None:
        await _silent(peer)
        ended.set()

    async with serve(tmp_path, behave) as served:
        await served.warm()
        peer = await served.open()
        await peer.send(served.head() + b"hi")
        await eventually(lambda: _true(served.watched.took == [True]))
        peer.reset()
        async with asyncio.timeout(5):
            await ended.wait()
        await eventually(lambda: _true(served.empty()))
        assert await served.lines() == [200, 499]
