"""Forwarding: a call as one HTTP exchange with whatever serves its script. Nothing is tried twice."""

from collections.abc import Callable
from time import perf_counter

from gateway.backends.invoker.deadlines import Deadlines
from gateway.backends.invoker.protocol import Call, Reply, Spent
from gateway.backends.invoker.upstream.exchange import Exchange
from gateway.backends.invoker.upstream.message import Origin, RequestHead, Response
from gateway.backends.invoker.upstream.upstream import Upstream
from gateway.domain.headers import Headers
from gateway.domain.problems import TimedOut

SERVER_TIMING = b"server-timing"


class Forward:
    """One call forwarded: an async context manager of its Reply. By hand, as an exchange is."""

    def __init__(
        self, upstream: Upstream, deadlines: Deadlines, call: Call, *, origin: Origin, host: bytes
    ) -> None:
        """`host` is what the backend knows the service by: the `Host` header."""
        self._call = call
        self._deadlines = deadlines
        self._began = 0.0
        target = b"/?" + call.query if call.query else b"/"
        head = RequestHead(b"POST", target, [(b"host", host), *call.headers], own_headers(call), call.kept)
        self._exchange: Exchange = upstream.exchange(origin, head, call.body)

    async def __aenter__(self) -> Reply:
        """What the backend answers, whatever it is. Raises TimedOut, Unavailable, Unanswered, and what the
        body raises."""
        if not self._began:
            self._start()
        try:
            response = await self._exchange.__aenter__()
        except BaseException:
            self._deadlines.cancel(self)
            raise
        return self._reply(response)

    async def __aexit__(self, *_: object) -> None:
        self._deadlines.cancel(self)
        await self._exchange.__aexit__()

    def begin(self, told: Callable[[], None]) -> bool:
        """As `Invoker.begin`."""
        if not self._exchange.begin(told):
            return False
        self._start()
        return True

    def whole(self) -> Reply | None:
        response = self._exchange.response_now()
        if response is None:
            return None
        reply = self._reply(response)
        self.drop()
        return reply

    def drop(self) -> None:
        self._deadlines.cancel(self)
        self._exchange.leave_now()

    def _start(self) -> None:
        self._began = perf_counter()
        self._deadlines.set(self, self._out_of_time, self._call.limit_s)

    def _reply(self, response: Response) -> Reply:
        took_s = perf_counter() - self._began
        spent = read_spent(response.headers, took_s=took_s, queue_s=self._exchange.queue_s)
        return Reply(response.status, response.headers, response.body, spent)

    def _out_of_time(self) -> None:
        limit = f"the call was ended after {self._call.limit_s:g} s, which is its limit"
        self._exchange.abandon(TimedOut(limit))


def own_headers(call: Call) -> Headers:
    """Those of this call alone."""
    return [(b"x-request-id", call.request_id), *call.own] if call.request_id else call.own


def read_spent(headers: Headers, *, took_s: float, queue_s: float) -> Spent:
    """A backend that tells how long its script ran (`Server-Timing: run;dur=…`, in ms) lets the start be told
    apart; else all of it counts as the run."""
    told_s = None
    for name, value in headers:
        if name == SERVER_TIMING:
            told_s = _told_run_s(value)
            break
    run_s = took_s - queue_s if told_s is None else min(told_s, took_s - queue_s)
    return Spent(queue_s, took_s - queue_s - run_s, run_s)


def _told_run_s(value: bytes) -> float | None:
    for metric in value.split(b","):
        name, _, duration = metric.strip().partition(b";dur=")
        if name == b"run":
            try:
                return max(0.0, float(duration) / 1000)
            except ValueError:
                return None
    return None
