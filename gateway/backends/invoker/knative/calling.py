"""Calling: one call as one exchange with the cluster's local gateway, and what the pod's answer means.
Nothing is tried twice. While the answer is waited for, somebody looks whether anything can still give it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from time import monotonic

from gateway.backends.invoker.deadlines import Deadlines
from gateway.backends.invoker.forward import Forward, call_head
from gateway.backends.invoker.knative.fleet import Fleet
from gateway.backends.invoker.knative.gate import Patience
from gateway.backends.invoker.protocol import Call
from gateway.backends.invoker.replies import failed
from gateway.backends.invoker.upstream.message import Origin, Response
from gateway.backends.invoker.upstream.upstream import Upstream
from gateway.domain.body import Body, pieces_of
from gateway.domain.problems import Problem, StorageFull, TimedOut, Unanswered, Unavailable
from gateway.staging.pod_call import ENDED, LIMIT, POD, RAW_TYPE, PodEnd

GRACE_S = 10.0
"""How long after the limit the pod may take to end the script and say so."""
LOOK_S = 1.0
CAP = "KNATIVE_TIMEOUT_LIMIT_S"
TEXT_LIMIT = 4096
MEMORY_S = 3.0
"""How long Kubernetes may take to say that a container was ended for memory."""
SCRIPTS_OWN = frozenset({PodEnd.ANSWERED.value, PodEnd.FAILED.value})
OURS = frozenset({b"host", b"accept", LIMIT.encode()})
PASSED_ON = frozenset({b"content-type", b"content-length"})


class _Followed:
    """A body's pieces; somebody is told of each that was taken."""

    def __init__(self, pieces: AsyncIterator[bytes], taken: Callable[[], None]) -> None:
        self._pieces = pieces
        self._taken = taken
        self._given = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._given:
            self._taken()
        piece = await self._pieces.__anext__()
        self._given = True
        return piece


class Calling(Forward):
    """An async context manager of the call's reply."""

    def __init__(
        self,
        upstream: Upstream,
        deadlines: Deadlines,
        fleet: Fleet,
        call: Call,
        *,
        origin: Origin,
        host: str,
        limit_s: float,
    ) -> None:
        """The script may take `limit_s`, and starting an instance for it as long."""
        ours = [(LIMIT.encode(), b"%g" % limit_s)]
        if call.raw:
            ours.append((b"accept", RAW_TYPE.encode()))
        head = call_head(call, host, ours=ours, dropped=OURS)
        super().__init__(upstream.exchange(origin, head, self._body(call.body)), deadlines, limit_s=limit_s)
        self._fleet = fleet
        self._service = call.deployed.service.name
        self._capped = limit_s < call.limit_s
        self._due = 0.0
        self._patience = Patience()

    def _watch(self) -> None:
        self._put_off()
        self._look_later()

    def _read_now(self, response: Response) -> Response | None:
        """Of a script that answered. Whatever else it is may have to be waited for."""
        return _passed_on(response) if _header(response, ENDED) in SCRIPTS_OWN else None

    def _body(self, body: Body) -> Body:
        """A body that goes on coming is not held against the script."""
        return body if isinstance(body, bytes) else _Followed(body, self._put_off)

    def _put_off(self) -> None:
        self._due = monotonic() + self._limit_s + GRACE_S

    def _look_later(self) -> None:
        self._deadlines.set(self, self._look, LOOK_S)

    def _look(self) -> None:
        # Again, until it is cancelled.
        self._look_later()
        now = monotonic()
        trouble = self._fleet.lasting_trouble(self._service)
        told = self._patience.lost(now, instance=trouble.text if trouble else "")
        if told:
            unavailable = Unavailable(f"the service cannot answer: {told}", retry_after_s=30)
            self._exchange.abandon(unavailable)
        elif now >= self._due:
            self._exchange.abandon(self._late())

    def _late(self) -> Problem:
        limit = f"no answer within {self._limit_s:g} s, which is the limit of a call"
        return self._timed_out(limit + self._why())

    def _timed_out(self, told: str) -> TimedOut:
        """What sets the limit is the caller's to say, unless it is Knative."""
        if not self._capped:
            return TimedOut(told)
        cap = f"{self._limit_s:g} s are the most that Knative allows here ({CAP})"
        instead = f"what takes longer can be handed in at /job/{self._service}"
        return TimedOut(f"{told}; {cap}; {instead}", field=CAP)

    def _why(self) -> str:
        trouble = self._fleet.trouble(self._service)
        return f": {trouble.text}" if trouble else ""

    async def _read(self, response: Response) -> Response:
        # It has answered: how long the rest may take is for others to say.
        self._deadlines.cancel(self)
        ended = _header(response, ENDED)
        if not ended:
            return self._from_between(response)
        match PodEnd(ended):
            case PodEnd.ANSWERED | PodEnd.FAILED:
                return _passed_on(response)
            case PodEnd.LOST:
                return await self._lost(response)
            case PodEnd.TIME_LIMIT:
                raise self._timed_out(await _line(response))
            case PodEnd.NOT_STARTED:
                raise Unavailable(await _line(response), retry_after_s=1)
            case PodEnd.STORAGE_FULL:
                raise StorageFull(await _line(response), retry_after_s=60)

    def _from_between(self, response: Response) -> Response:
        """Not from a pod of ours: from Knative, its ingress, or a pod that OSCAR itself deployed."""
        match response.status:
            case 404:
                told = f"no instance is reachable yet; nothing was executed{self._why()}"
                raise Unavailable(told, retry_after_s=1)
            case 503 | 429:
                raise Unavailable(f"Knative refused the call{self._why()}", retry_after_s=1)
            case 504:
                raise self._timed_out(f"Knative ended the call at its own limit{self._why()}")
            case 200 | 500 if _header(response, "content-type"):
                return _passed_on(response)
            case status:
                raise Unanswered(f"Knative answered {status} in place of the service{self._why()}")

    async def _lost(self, response: Response) -> Response:
        """Its container ended under the script: Kubernetes knows why, in a moment."""
        pod = _header(response, POD)
        try:
            async with asyncio.timeout(MEMORY_S):
                with self._fleet.changes(self._service) as changed:
                    while not self._fleet.ended_for_memory(self._service, pod):
                        changed.clear()
                        await changed.wait()
        except TimeoutError:
            return _passed_on(response)
        reply = failed("the script was ended at its memory limit")
        return Response(reply.status, reply.headers, reply.body)


def _header(response: Response, wanted: str) -> str:
    name = wanted.encode()
    return next((value.decode("latin-1") for key, value in response.headers if key == name), "")


def _passed_on(response: Response) -> Response:
    return response._replace(headers=[one for one in response.headers if one[0] in PASSED_ON])


async def _line(response: Response) -> str:
    text = b""
    async for piece in pieces_of(response.body):
        text += piece
        if len(text) > TEXT_LIMIT:
            break
    return " ".join(text[:TEXT_LIMIT].decode("utf-8", "replace").split())
