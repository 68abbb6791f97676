"""Bodies in pieces, their limit, and clients that go away."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from gateway.api.edge import Edge
from gateway.api.incoming import ClientGone, Incoming, while_connected
from gateway.api.measures import Measures
from gateway.domain.problems import Invalid, NotFound, Problem, Stalled, TooLarge


def connection(*pieces: bytes, unfinished: bool = False, gone: asyncio.Event | None = None) -> Receive:
    """A client that sends these pieces and stays until `gone`, or leaves amid an unfinished body."""
    messages: list[Message] = [
        {"type": "http.request", "body": piece, "more_body": unfinished or number < len(pieces)}
        for number, piece in enumerate(pieces, 1)
    ]

    async def receive() -> Message:
        if messages:
            return messages.pop(0)
        if not unfinished:
            await (gone or asyncio.Event()).wait()
        return {"type": "http.disconnect"}

    return receive


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=10))
def test_a_body_is_the_sum_of_its_pieces(pieces: list[bytes]) -> None:
    assert asyncio.run(Incoming(connection(*pieces), limit=500).whole()) == b"".join(pieces)


async def test_a_body_is_refused_at_the_byte_beyond_the_limit() -> None:
    assert await Incoming(connection(b"12345", b"67890"), limit=10).whole() == b"1234567890"
    with pytest.raises(TooLarge):
        await Incoming(connection(b"12345", b"67890", b"!"), limit=10).whole()


def test_a_declared_length_beyond_the_limit_is_refused_before_anything_is_read() -> None:
    with pytest.raises(TooLarge):
        Incoming(connection(), limit=10, headers=[(b"content-length", b"11")])


@pytest.mark.parametrize("length", [b"-1", b"ten", b"1" * 30, b"\xff"])
def test_a_length_that_is_no_number_is_invalid(length: bytes) -> None:
    with pytest.raises(Invalid):
        Incoming(connection(), limit=10, headers=[(b"content-length", length)])


async def test_a_client_that_leaves_amid_its_body_is_gone() -> None:
    with pytest.raises(ClientGone):
        await Incoming(connection(b"half", unfinished=True), limit=10).whole()


async def test_what_is_done_for_a_client_ends_when_it_leaves() -> None:
    leave = asyncio.Event()
    incoming = Incoming(connection(b"", gone=leave), limit=10)
    ended = False
    with pytest.raises(ClientGone):
        async with asyncio.timeout(5), while_connected(incoming):
            await incoming.whole()
            leave.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended = True
    assert ended


async def test_a_body_that_does_not_come_is_not_waited_for_without_end() -> None:
    async def silence() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(Stalled):
        await Incoming(silence, limit=10, idle_s=0.01).whole()


async def test_a_client_that_reads_nothing_is_taken_for_gone() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})

    async def stuck(message: Message) -> None:
        await asyncio.Event().wait()

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    with pytest.raises(ClientGone):
        await Edge(app, Measures(), idle_s=0.01)(scope, connection(), stuck)


@pytest.mark.parametrize("problem", [NotFound("x"), TooLarge("y")])
async def test_a_problem_comes_out_of_the_watch_as_it_is(problem: Problem) -> None:
    with pytest.raises(type(problem)):
        async with while_connected(Incoming(connection(b""), limit=10)):
            raise problem


async def test_the_watch_ends_with_the_work() -> None:
    async with asyncio.timeout(5):
        async with while_connected(Incoming(connection(b""), limit=10)):
            pass
