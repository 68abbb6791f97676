"""One call by Knative, against a backend in the place of the cluster's gateway: begun at once or waited for,
and what the pod's answer means."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from gateway.backends.cluster import Change
from gateway.backends.invoker.deadlines import Deadlines
from gateway.backends.invoker.knative.calling import Calling
from gateway.backends.invoker.knative.fleet import Fleet
from gateway.backends.invoker.protocol import Call, Reply
from gateway.backends.invoker.upstream.message import Origin
from gateway.backends.invoker.upstream.upstream import Upstream
from gateway.domain.definition import Service
from gateway.domain.deployed import Deployed
from gateway.domain.problems import Problem, StorageFull, TimedOut, Unanswered, Unavailable
from tests.upstream.backend import Peer, answering, backend

AT = datetime(2026, 11, 24, 3, tzinfo=UTC)
DEPLOYED = Deployed(
    service=Service.model_validate({"name": "grey", "image": "img", "script": "true", "token": "t"}),
    uid="uid",
    created_at=AT,
    updated_at=AT,
)


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream(connect_timeout_s=1, idle_timeout_s=30, per_origin_limit=2) as opened:
        yield opened


def answer(status: int, ended: str = "", body: bytes = b"out") -> bytes:
    told = f"Oscar-Ended: {ended}\r\n" if ended else ""
    head = f"HTTP/1.1 {status} Said\r\nContent-Type: text/plain\r\nX-Own: 1\r\n{told}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def calling(
    upstream: Upstream, origin: Origin, call: Call, fleet: Fleet | None = None, limit_s: float | None = None
) -> Calling:
    return Calling(
        upstream,
        Deadlines(),
        fleet or Fleet(),
        call,
        origin=origin,
        host="grey.svc",
        limit_s=limit_s or call.limit_s,
    )


def call(body: bytes = b"in", number: int = 1, kept: dict[str, bytes] | None = None) -> Call:
    headers = [(b"accept", b"*/*"), (b"x-mine", b"1"), (b"oscar-limit-s", b"9999")]
    own = [(b"traceparent", b"00-%d" % number)]
    made = Call("id", DEPLOYED, body, headers, request_id=b"call-%d" % number, limit_s=7, kept=kept)
    made.own = own
    return made


async def begun(one: Calling) -> Reply | None:
    told = asyncio.Event()
    assert one.begin(told.set)
    async with asyncio.timeout(5):
        await told.wait()
    return one.whole()


async def test_what_is_begun_at_once_asks_as_what_is_waited_for(upstream: Upstream) -> None:
    seen: list[tuple[str, bytes]] = []
    async with backend(answering(seen, answer(200, "answered"))) as one:
        async with calling(upstream, one.origin, call()) as waited:
            pass
        kept: dict[str, bytes] = {}
        replies = [await begun(calling(upstream, one.origin, call(kept=kept))) for _ in range(2)]
        other = await begun(calling(upstream, one.origin, call(b"longer", 2, kept)))
        assert one.connections == 1
    for reply in (waited, *replies, other):
        assert reply is not None
        assert (reply.status, reply.body) == (200, b"out")
        assert reply.headers == [(b"content-type", b"text/plain"), (b"content-length", b"3")]
    first, *same, last = seen
    assert same == [first, first]
    assert last == (
        first[0].replace("call-1", "call-2").replace("00-1", "00-2").replace(": 2", ": 6"),
        b"longer",
    )
    assert "\r\nhost: grey.svc\r\noscar-limit-s: 7\r\nx-mine: 1\r\n" in first[0]


@pytest.mark.parametrize(
    ("raw", "problem", "told"),
    [
        (answer(504, "time-limit", b"over"), TimedOut, "over"),
        (answer(503, "not-started", b"no"), Unavailable, "no"),
        (answer(507, "storage-full", b"full"), StorageFull, "full"),
        (answer(503), Unavailable, "Knative refused the call"),
        (answer(404), Unavailable, "no instance is reachable yet"),
        (answer(504), TimedOut, "Knative ended the call"),
        (answer(302), Unanswered, "Knative answered 302"),
    ],
)
async def test_what_is_no_answer_of_the_script_is_told_both_ways(
    upstream: Upstream, raw: bytes, problem: type[Problem], told: str
) -> None:
    async with backend(answering([], raw)) as one:
        with pytest.raises(problem, match=told):
            async with calling(upstream, one.origin, call()):
                pass
        short = calling(upstream, one.origin, call())
        assert await begun(short) is None
        with pytest.raises(problem, match=told):
            async with short:
                pass
        assert upstream.idle_connections() == 1


async def test_a_call_that_nothing_can_answer_any_more_is_given_up(upstream: Upstream) -> None:
    fleet = Fleet()
    container = {"name": "c", "image": "i", "state": {"waiting": {"reason": "ErrImagePull", "message": "no"}}}
    labels = {"serving.knative.dev/service": "grey", "serving.knative.dev/revision": "grey-1"}
    scheduled = {"type": "PodScheduled", "status": "True"}
    status = {"conditions": [scheduled], "containerStatuses": [container]}
    fleet.pods_changed(Change("ADDED", {"metadata": {"name": "pod", "labels": labels}, "status": status}))
    assert fleet.lasting_trouble("grey") is not None

    async def silent(peer: Peer) -> None:
        await peer.request()
        await peer.reader.read()

    async with backend(silent) as one:
        with pytest.raises(Unavailable, match="cannot answer"):
            async with asyncio.timeout(15), calling(upstream, one.origin, call(), fleet):
                pass


@pytest.mark.parametrize("raw", [answer(504, "time-limit", b"over"), answer(504)], ids=["pod", "Knative"])
async def test_a_limit_that_only_knative_sets_is_named(upstream: Upstream, raw: bytes) -> None:
    async with backend(answering([], raw)) as one:
        with pytest.raises(TimedOut, match=r"5 s are the most.*/job/grey") as capped:
            async with calling(upstream, one.origin, call(), limit_s=5):
                pass
        with pytest.raises(TimedOut) as own:
            async with calling(upstream, one.origin, call()):
                pass
    assert (capped.value.field, own.value.field) == ("KNATIVE_TIMEOUT_LIMIT_S", None)


WHOLE = answer(200, "answered", b"x" * 100_000)


@pytest.mark.parametrize("sent", [0, 20, 100, len(WHOLE) - 1], ids=["before", "head", "body", "last byte"])
async def test_an_ingress_that_dies_is_told_by_its_stage_and_asked_once(
    upstream: Upstream, sent: int
) -> None:
    asked: list[bytes] = []

    async def die(peer: Peer) -> None:
        _, body = await peer.request()
        asked.append(body)
        await peer.send(WHOLE[:sent])
        peer.writer.close()

    async with backend(die) as one:
        with pytest.raises((Unanswered, Unavailable)):
            async with calling(upstream, one.origin, call()) as reply:
                assert not isinstance(reply.body, bytes)
                async for _ in reply.body:
                    pass
    assert asked == [b"in"]
