"""The upstream against real servers: what is passed on, what is kept, and what is told of backends that
misbehave at each stage."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.backends.invoker.upstream import answer as answer_module
from gateway.backends.invoker.upstream.message import Origin, RequestHead
from gateway.backends.invoker.upstream.upstream import Upstream
from gateway.domain.body import Body, pieces_of
from gateway.domain.headers import Headers
from gateway.domain.problems import Invalid, TooLarge, Unanswered, Unavailable
from tests.polling import until
from tests.upstream.backend import Peer, answering, backend

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream(connect_timeout_s=1, idle_timeout_s=30, per_origin_limit=2) as opened:
        yield opened


def post(headers: Headers | None = None, target: bytes = b"/") -> RequestHead:
    return RequestHead(b"POST", target, headers or [])


async def pieces(*given: bytes) -> AsyncIterator[bytes]:
    for piece in given:
        yield piece


async def asked(
    upstream: Upstream, origin: Origin, body: Body = b"", head: RequestHead | None = None
) -> tuple[int, Headers, bytes]:
    async with asyncio.timeout(5), upstream.exchange(origin, head or post(), body) as response:
        whole = b"".join([piece async for piece in pieces_of(response.body)])
        return response.status, response.headers, whole


async def test_a_body_there_already_goes_with_its_length(upstream: Upstream) -> None:
    seen: list[tuple[str, bytes]] = []
    async with backend(answering(seen, OK)) as one:
        assert await asked(upstream, one.origin, b"body", post(target=b"/a?b=c")) == (
            200,
            [(b"content-length", b"5")],
            b"hello",
        )
    head, body = seen[0]
    assert head.startswith("post /a?b=c http/1.1\r\n")
    assert f"\r\nhost: {one.origin.host}:{one.origin.port}\r\n" in head
    assert ("\r\ncontent-length: 4\r\n" in head, body) == (True, b"body")


async def test_a_streamed_body_goes_in_chunks_or_with_its_declared_length(upstream: Upstream) -> None:
    seen: list[tuple[str, bytes]] = []
    async with backend(answering(seen, OK)) as one:
        await asked(upstream, one.origin, pieces(b"one ", b"", b"two"))
        await asked(upstream, one.origin, pieces(b"one ", b"two"), post([(b"content-length", b"7")]))
        assert one.connections == 1
    assert [body for _, body in seen] == [b"one two", b"one two"]
    assert "transfer-encoding: chunked" in seen[0][0]
    assert "content-length: 7" in seen[1][0]
    assert "transfer-encoding" not in seen[1][0]


async def test_an_answer_that_was_there_at_once_holds_up_nothing_behind_it(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer_module, "READ_AHEAD", 4)
    async with backend(answering([], OK)) as one:
        for _ in range(3):
            assert await asked(upstream, one.origin) == (200, [(b"content-length", b"5")], b"hello")
        assert one.connections == 1


@pytest.mark.parametrize("given", [(b"toolong!",), (b"short",)])
async def test_a_body_that_is_not_as_long_as_declared_makes_no_request(
    upstream: Upstream, given: tuple[bytes, ...]
) -> None:
    seen: list[tuple[str, bytes]] = []
    async with backend(answering(seen, OK)) as one:
        with pytest.raises(Invalid):
            await asked(upstream, one.origin, pieces(*given), post([(b"content-length", b"6")]))
    assert seen == []


async def test_a_body_that_breaks_off_is_told_and_never_ended_for_the_backend(upstream: Upstream) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise TooLarge("too large")

    seen: list[tuple[str, bytes]] = []
    async with backend(answering(seen, OK)) as one:
        with pytest.raises(TooLarge):
            await asked(upstream, one.origin, broken())
    assert seen == []


async def test_headers_of_the_connection_go_no_further_either_way(upstream: Upstream) -> None:
    seen: list[tuple[str, bytes]] = []
    answer = (
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Own\r\nKeep-Alive: timeout=5\r\nX-Own: a\r\n"
        b"X-Kept: b\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nhi\r\n0\r\nX-T: t\r\n\r\n"
    )
    headers = [
        (b"connection", b"close, x-mine"),
        (b"x-mine", b"1"),
        (b"te", b"trailers"),
        (b"upgrade", b"h2c"),
        (b"transfer-encoding", b"chunked"),
        (b"expect", b"100-continue"),
        (b"content-length", b"99"),
        (b"x-kept", b"2"),
        (b"host", b"svc.example"),
    ]
    async with backend(answering(seen, answer)) as one:
        got = await asked(upstream, one.origin, b"abc", post(headers))
    assert got == (200, [(b"x-kept", b"b")], b"hi")
    assert sorted(seen[0][0].split("\r\n")[1:]) == [
        "",
        "",
        "content-length: 3",
        "host: svc.example",
        "x-kept: 2",
    ]


@pytest.mark.parametrize("bad", [(b"x", b"a\r\nevil: 1"), (b"x\ny", b"a"), (b"x", b"a\rb")])
async def test_a_line_break_in_a_header_is_never_sent(upstream: Upstream, bad: tuple[bytes, bytes]) -> None:
    seen: list[tuple[str, bytes]] = []
    async with backend(answering(seen, OK)) as one:
        with pytest.raises(Invalid):
            await asked(upstream, one.origin, b"", post([bad]))
        with pytest.raises(Invalid):
            await asked(upstream, one.origin, b"", post(target=b"/ HTTP/1.1\r\nX: y"))
        assert one.connections == 0


async def test_connections_are_kept_and_never_more_than_the_limit(upstream: Upstream) -> None:
    seen: list[tuple[str, bytes]] = []
    async with backend(answering(seen, OK)) as one:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(20):
                tasks.create_task(asked(upstream, one.origin))
        assert (len(seen), one.connections) == (20, 2)


async def test_whoever_gets_no_place_in_time_is_told_that_nothing_ran() -> None:
    async with Upstream(connect_timeout_s=0.05, idle_timeout_s=30, per_origin_limit=1) as upstream:
        seen: list[tuple[str, bytes]] = []
        async with backend(answering(seen, OK)) as one:
            async with upstream.exchange(one.origin, post(), b""):
                with pytest.raises(Unavailable, match="nothing was executed"):
                    await asked(upstream, one.origin)
            await asked(upstream, one.origin)
            assert len(seen) == 2


async def test_who_is_abandoned_while_it_waits_for_a_connection_sends_nothing() -> None:
    seen: list[tuple[str, bytes]] = []
    limited = Upstream(connect_timeout_s=5, idle_timeout_s=30, per_origin_limit=1)
    async with limited as upstream, backend(answering(seen, OK)) as one:
        async with upstream.exchange(one.origin, post(), b""):
            late = upstream.exchange(one.origin, post(), b"")
            waiting = asyncio.create_task(late.__aenter__())
            await asyncio.sleep(0)
            late.abandon(TooLarge("too late"))
        with pytest.raises(TooLarge):
            await waiting
        await asked(upstream, one.origin)
        assert (len(seen), one.connections) == (2, 1)


async def test_a_waiter_that_leaves_costs_no_place() -> None:
    limited = Upstream(connect_timeout_s=5, idle_timeout_s=30, per_origin_limit=1)
    async with limited as upstream, backend(answering([], OK)) as one:
        async with upstream.exchange(one.origin, post(), b""):
            waiting = [asyncio.create_task(asked(upstream, one.origin)) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[0].cancel()
        waiting[1].cancel()
        assert (await waiting[2])[0] == 200
        await asked(upstream, one.origin)
        assert one.connections == 1


async def test_what_cannot_be_reached_executed_nothing(upstream: Upstream) -> None:
    async with backend(answering([], OK)) as gone:
        pass
    for _ in range(3):
        with pytest.raises(Unavailable):
            await asked(upstream, gone.origin)


async def test_idle_connections_are_closed_in_time() -> None:
    closed = asyncio.Event()

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        assert await peer.reader.read() == b""
        closed.set()

    impatient = Upstream(connect_timeout_s=1, idle_timeout_s=0.05, per_origin_limit=1)
    async with impatient as upstream, backend(behave) as one:
        await asked(upstream, one.origin)
        async with asyncio.timeout(5):
            await closed.wait()


@pytest.mark.parametrize("half", [True, False])
async def test_a_connection_closed_while_idle_is_not_used_again(upstream: Upstream, half: bool) -> None:
    seen: list[tuple[str, bytes]] = []
    left = asyncio.Event()

    async def behave(peer: Peer) -> None:
        seen.append(await peer.request())
        await peer.send(OK)
        if half:
            peer.writer.write_eof()
            await peer.reader.read()
        peer.writer.close()
        left.set()

    async with backend(behave) as one:
        for number in range(1, 4):
            left.clear()
            await asked(upstream, one.origin)
            await left.wait()
            await until(lambda: _idle(upstream, 0))
            assert (len(seen), one.connections) == (number, number)


async def _idle(upstream: Upstream, count: int) -> bool:
    return upstream.idle_connections() == count


STAGES = [
    (b"", "without answering"),
    (b"HTTP/1.1 200 OK\r\nContent-Le", "amid the headers"),
]


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize(("sent", "told"), STAGES)
async def test_a_backend_that_dies_before_the_body_is_told_by_its_stage(
    upstream: Upstream, sent: bytes, told: str, reset: bool
) -> None:
    requests = 0

    async def behave(peer: Peer) -> None:
        nonlocal requests
        await peer.request()
        requests += 1
        await peer.send(sent)
        if reset:
            await asyncio.sleep(0.02)
            peer.reset()

    async with backend(behave) as one:
        with pytest.raises(Unanswered, match=told):
            await asked(upstream, one.origin, b"x")
    assert requests == 1


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 100", b"Transfer-Encoding: chunked", b"Content-Length: 100\r\nConnection: close"],
)
async def test_a_backend_that_dies_amid_the_body_never_makes_a_whole_answer(
    upstream: Upstream, framing: bytes, reset: bool
) -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n5\r\nhello\r\n")
        if reset:
            await asyncio.sleep(0.02)
            peer.reset()

    async with backend(behave) as one, upstream.exchange(one.origin, post(), b"") as response:
        assert response.status == 200
        with pytest.raises(Unanswered, match="amid the body"):
            async for _ in pieces_of(response.body):
                pass


async def test_a_backend_that_dies_while_it_is_sent_the_request_is_told(upstream: Upstream) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536
            await asyncio.sleep(0)

    async def behave(peer: Peer) -> None:
        await peer.head()
        await peer.reader.readexactly(200_000)
        peer.reset()

    async with backend(behave) as one:
        with pytest.raises(Unanswered, match="without answering"):
            await asked(upstream, one.origin, endless())


async def test_an_answer_before_the_request_is_through_is_taken(upstream: Upstream) -> None:
    async def never_ending() -> AsyncIterator[bytes]:
        yield b"begin"
        await asyncio.Event().wait()

    async def behave(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        assert await peer.reader.read() == b"5\r\nbegin\r\n"

    async with backend(behave) as one:
        assert (await asked(upstream, one.origin, never_ending()))[0] == 413
        assert upstream.idle_connections() == 0


async def test_interim_answers_are_passed_over(upstream: Upstream) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
    async with backend(answering([], interim + OK)) as one:
        for _ in range(2):
            assert await asked(upstream, one.origin) == (200, [(b"content-length", b"5")], b"hello")
        assert one.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    ],
)
async def test_answers_without_a_body_leave_the_connection_usable(upstream: Upstream, answer: bytes) -> None:
    async with backend(answering([], answer)) as one:
        for _ in range(2):
            assert (await asked(upstream, one.origin))[2] == b""
        assert one.connections == 1


async def test_an_answer_to_head_has_no_body_whatever_its_length_says(upstream: Upstream) -> None:
    async with backend(answering([], b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")) as one:
        for _ in range(2):
            got = await asked(upstream, one.origin, b"", RequestHead(b"HEAD", b"/", []))
            assert got == (200, [(b"content-length", b"5")], b"")
        assert one.connections == 1


async def test_a_body_that_ends_with_the_connection_is_whole_only_if_it_was_closed_in_order(
    upstream: Upstream,
) -> None:
    async def behave(peer: Peer) -> None:
        head, _ = await peer.request()
        await peer.send(b"HTTP/1.0 200 OK\r\n\r\nall of it")
        if "cut" in head:
            await asyncio.sleep(0.02)
            peer.reset()

    async with backend(behave) as one:
        assert (await asked(upstream, one.origin))[2] == b"all of it"
        with pytest.raises(Unanswered):
            await asked(upstream, one.origin, b"", post(target=b"/cut"))


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: abcdefgh\r\n" * 8000 + b"Content-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" * 3000,
    ],
    ids=lambda answer: answer[:40],
)
async def test_what_is_no_answer_is_not_taken_for_one(upstream: Upstream, answer: bytes) -> None:
    async with backend(answering([], answer)) as one:
        with pytest.raises(Unanswered):
            await asked(upstream, one.origin)
        assert upstream.idle_connections() == 0


async def test_bytes_after_an_answer_are_nobodys(upstream: Upstream) -> None:
    stray = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    async with backend(answering([], OK + stray)) as one:
        for number in range(1, 4):
            assert (await asked(upstream, one.origin))[2] == b"hello"
            assert one.connections == number


async def test_bytes_on_an_idle_connection_are_nobodys(upstream: Upstream) -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await until(lambda: _idle(upstream, 1))
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        assert await peer.reader.read() == b""

    async with backend(behave) as one:
        for _ in range(3):
            assert (await asked(upstream, one.origin))[2] == b"hello"
            await until(lambda: _idle(upstream, 0))


async def test_leaving_early_closes_the_connection(upstream: Upstream) -> None:
    closed = asyncio.Event()

    async def behave(peer: Peer) -> None:
        await peer.request()
        try:
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello")
            assert await peer.reader.read() == b""
        except ConnectionError:
            pass
        closed.set()

    async with backend(behave) as one, asyncio.timeout(5):
        async with upstream.exchange(one.origin, post(), b""):
            pass
        await closed.wait()
        closed.clear()
        waiting = asyncio.create_task(asked(upstream, one.origin, head=post(target=b"/")))
        await until(lambda: _connections(one.connections, 2))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await closed.wait()


async def _connections(count: int, wanted: int) -> bool:
    return count >= wanted


async def test_no_more_is_read_of_an_answer_than_somebody_takes(upstream: Upstream) -> None:
    written = 0

    async def behave(peer: Peer) -> None:
        nonlocal written
        await peer.request()
        peer.writer.transport.set_write_buffer_limits(high=1 << 16)
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n")
        while written < 200_000_000:
            await peer.send(b"x" * 100_000)
            written += 100_000

    async with asyncio.timeout(20), backend(behave) as one:
        exchange = upstream.exchange(one.origin, post(), b"")
        async with exchange as response:
            stream = pieces_of(response.body)
            first = len(await anext(stream))
            before = -1
            while written != before:
                before = written
                await asyncio.sleep(0.05)
            # What stands in our bound and in the two sockets' buffers.
            assert written < answer_module.READ_AHEAD + (16 << 20)
            assert first + sum([len(piece) async for piece in stream]) == 200_000_000


async def test_no_more_is_taken_of_a_body_than_the_backend_reads(upstream: Upstream) -> None:
    taken = 0
    go = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(1000):
            taken += 100_000
            yield b"x" * 100_000

    async def behave(peer: Peer) -> None:
        head = await peer.head()
        await go.wait()
        assert len(await peer.body(head)) == 100_000_000
        await peer.send(OK)

    async with backend(behave) as one:
        asking = asyncio.create_task(
            asked(upstream, one.origin, body(), post([(b"content-length", b"100000000")]))
        )
        before = -1
        while taken != before or not taken:
            before = taken
            await asyncio.sleep(0.05)
        assert taken < 16 << 20
        go.set()
        assert (await asking)[0] == 200


async def test_closing_ends_what_is_open() -> None:
    async def silent(peer: Peer) -> None:
        await peer.request()
        await peer.reader.read()

    async with backend(silent) as one:
        async with Upstream(connect_timeout_s=1, idle_timeout_s=30, per_origin_limit=1) as upstream:
            asking = asyncio.create_task(asked(upstream, one.origin))
            await until(lambda: _connections(one.connections, 1))
        with pytest.raises(Unanswered):
            await asking


async def test_an_answer_that_begins_like_the_one_before_it_is_still_read_to_its_own_end(
    upstream: Upstream,
) -> None:
    """Heads seen before are not read again: whatever differs behind them must be."""
    head = OK[:-5]
    other = OK.replace(b"200 OK", b"404 NO")
    sent = [
        OK,
        head + b"again",
        other,
        head + b"",
        head + b"again" + OK,
        OK,
        head.replace(b"5", b"3") + b"new",
    ]

    async def behave(peer: Peer) -> None:
        while sent:
            await peer.request()
            raw = sent.pop(0)
            await peer.send(raw)
            if raw == head:
                await peer.send(b"la")
                await peer.send(b"ter")

    async with backend(behave) as one:
        answers = [await asked(upstream, one.origin) for _ in range(5)]
        assert [status for status, _, _ in answers] == [200, 200, 404, 200, 200]
        bodies = [body for _, _, body in answers]
        assert (bodies, one.connections) == ([b"hello", b"again", b"hello", b"later", b"again"], 1)
        # Bytes that nobody asked for: that connection answers nobody any more.
        bodies = [(await asked(upstream, one.origin))[2] for _ in range(2)]
        assert (bodies, one.connections) == ([b"hello", b"new"], 2)
