"""Calling: one call posted to the cluster's local gateway, and what comes back as a reply."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.backends.invoker.knative.fleet import Fleet
from gateway.backends.invoker.knative.gate import PATIENCE_S
from gateway.backends.invoker.protocol import Call, Reply
from gateway.backends.invoker.upstream.message import Origin, RequestHead, Response
from gateway.backends.invoker.upstream.upstream import Upstream
from gateway.domain.body import pieces_of
from gateway.domain.problems import Problem, StorageFull, TimedOut, Unanswered, Unavailable
from gateway.staging.pod_call import ENDED, LIMIT, POD, RAW_TYPE, PodEnd

GRACE_S = 10.0
"""How long after the limit the pod may take to end the script and say so."""
LOOK_S = 1.0
TEXT_LIMIT = 4096
MEMORY_S = 3.0
"""How long Kubernetes may take to say that a container was ended for memory."""


@dataclass(slots=True)
class _Watch:
    """Looks, while a call waits, whether anything could still answer it."""

    fleet: Fleet
    service: str
    bound: asyncio.Timeout
    hopeless: str = ""
    troubled_since: float | None = None
    timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        self.timer = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def end(self) -> None:
        if self.timer is not None:
            self.timer.cancel()

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        trouble = self.fleet.lasting_trouble(self.service)
        self.troubled_since = (self.troubled_since or loop.time()) if trouble else None
        if trouble and self.troubled_since is not None and loop.time() - self.troubled_since >= PATIENCE_S:
            self.hopeless = trouble.text
            self.bound.reschedule(loop.time())
            return
        self.begin()


class Calling:
    def __init__(self, upstream: Upstream, fleet: Fleet, gateway: Origin | None) -> None:
        """`gateway` is the cluster's local one; None: each service is reached by its own name."""
        self._upstream = upstream
        self._fleet = fleet
        self._gateway = gateway

    @asynccontextmanager
    async def exchange(self, call: Call, host: str, *, limit_s: float) -> AsyncIterator[Reply]:
        """The script may take `limit_s`; starting an instance for it counts. Raises as `Invoker.invoke`."""
        loop = asyncio.get_running_loop()
        origin = self._gateway or Origin(host, 80)
        answered = False
        try:
            async with asyncio.timeout(limit_s + GRACE_S) as bound:
                watch = _Watch(self._fleet, call.deployed.service.name, bound)
                watch.begin()

                async def body() -> AsyncIterator[bytes]:
                    async for piece in pieces_of(call.body):
                        yield piece
                        if not answered:
                            bound.reschedule(loop.time() + limit_s + GRACE_S)

                try:
                    asking = self._upstream.exchange(origin, _head(call, host, limit_s), body())
                    async with asking as response:
                        watch.end()
                        answered = True
                        bound.reschedule(None)
                        yield await self._reply(call, response)
                finally:
                    watch.end()
        except TimeoutError:
            if answered or not bound.expired():
                raise
            raise self._late(call, watch.hopeless, limit_s) from None

    def _late(self, call: Call, hopeless: str, limit_s: float) -> Problem:
        if hopeless:
            return Unavailable(f"the service cannot answer: {hopeless}", retry_after_s=30)
        trouble = self._fleet.trouble(call.deployed.service.name)
        why = f": {trouble.text}" if trouble else ""
        return TimedOut(f"no answer within {limit_s:g} s, which is the limit of a call{why}")

    async def _reply(self, call: Call, response: Response) -> Reply:
        headers = dict(response.headers)
        ended = headers.get(ENDED.encode())
        if ended is None:
            return await self._from_between(call, response, headers)
        match PodEnd(ended.decode()):
            case PodEnd.ANSWERED | PodEnd.FAILED:
                return _passed_on(response, headers)
            case PodEnd.LOST:
                return await self._lost(call, headers.get(POD.encode(), b"").decode(), response)
            case PodEnd.TIME_LIMIT:
                raise TimedOut(await _line(response))
            case PodEnd.NOT_STARTED:
                raise Unavailable(await _line(response), retry_after_s=1)
            case PodEnd.STORAGE_FULL:
                raise StorageFull(await _line(response), retry_after_s=60)

    async def _from_between(self, call: Call, response: Response, headers: dict[bytes, bytes]) -> Reply:
        """Not from a pod of ours: from Knative, its ingress, or a pod that OSCAR itself deployed."""
        trouble = self._fleet.trouble(call.deployed.service.name)
        why = f": {trouble.text}" if trouble else ""
        match response.status:
            case 404:
                raise Unavailable(f"no instance is reachable yet; nothing was executed{why}", retry_after_s=1)
            case 503 | 429:
                raise Unavailable(f"Knative refused the call{why}", retry_after_s=1)
            case 504:
                raise TimedOut(f"Knative ended the call at its own limit{why}")
            case 200 | 500 if b"content-type" in headers:
                return _passed_on(response, headers)
            case status:
                raise Unanswered(f"Knative answered {status} in place of the service{why}")

    async def _lost(self, call: Call, pod: str, response: Response) -> Reply:
        """Its container ended under the script: Kubernetes knows why, in a moment."""
        service = call.deployed.service.name
        try:
            async with asyncio.timeout(MEMORY_S):
                with self._fleet.changes(service) as changed:
                    while not self._ended_for_memory(service, pod):
                        changed.clear()
                        await changed.wait()
        except TimeoutError:
            return _passed_on(response, dict(response.headers))
        return _told("the script was ended at its memory limit\n")

    def _ended_for_memory(self, service: str, pod: str) -> bool:
        instance = self._fleet.instance(service, pod)
        return instance is not None and instance.memory_end_at is not None


def _head(call: Call, host: str, limit_s: float) -> RequestHead:
    headers = [
        (b"host", host.encode()),
        (LIMIT.encode(), b"%g" % limit_s),
        (b"x-request-id", call.id.encode()),
    ]
    if call.content_type:
        headers.append((b"content-type", call.content_type.encode("latin-1", "replace")))
    if call.raw:
        headers.append((b"accept", RAW_TYPE.encode()))
    target = f"/?{call.query}" if call.query else "/"
    return RequestHead(b"POST", target.encode("latin-1", "replace"), headers)


def _passed_on(response: Response, headers: dict[bytes, bytes]) -> Reply:
    kept = {
        name.decode(): headers[name].decode("latin-1")
        for name in (b"content-type", b"content-length")
        if name in headers
    }
    return Reply(response.status, kept, pieces_of(response.body))


def _told(line: str) -> Reply:
    headers = {"content-type": "text/plain; charset=utf-8", "content-length": str(len(line))}
    return Reply(500, headers, pieces_of(line.encode()))


async def _line(response: Response) -> str:
    text = b""
    async for piece in pieces_of(response.body):
        text += piece
        if len(text) > TEXT_LIMIT:
            break
    return " ".join(text[:TEXT_LIMIT].decode("utf-8", "replace").split())
