"""Forwarding: a call as one HTTP exchange with whatever serves its script. Nothing is tried twice."""

from collections.abc import Callable
from time import perf_counter

from gateway.backends.invoker.deadlines import Deadlines
from gateway.backends.invoker.protocol import Call, Reply, Spent
from gateway.backends.invoker.upstream.exchange import Exchange
from gateway.backends.invoker.upstream.message import RequestHead, Response
from gateway.domain.headers import Headers
from gateway.domain.problems import TimedOut

SERVER_TIMING = b"server-timing"


class Forward:
    """One call forwarded: an async context manager of its Reply. By hand, as an exchange is. Who knows more
    of its backend than that it speaks HTTP watches and reads in its own way."""

    def __init__(self, exchange: Exchange, deadlines: Deadlines, *, limit_s: float) -> None:
        self._exchange = exchange
        self._deadlines = deadlines
        self._limit_s = limit_s
        self._began = 0.0

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
        spent = self._spent(response)
        try:
            return _reply(await self._read(response), spent)
        except BaseException as error:
            failure = error
        # Out of the handler: compiled code loses what it handles when it waits.
        await self.__aexit__()
        raise failure

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
        read = None if response is None else self._read_now(response)
        if response is None or read is None:
            return None
        reply = _reply(read, self._spent(response))
        self.drop()
        return reply

    def drop(self) -> None:
        self._deadlines.cancel(self)
        self._exchange.leave_now()

    def _watch(self) -> None:
        """From when it is under way: the exchange is to be abandoned if nothing will come of it."""
        self._deadlines.set(self, self._out_of_time, self._limit_s)

    def _read_now(self, response: Response) -> Response | None:
        """What the caller is to have of it; None if that has to be waited for."""
        return response

    async def _read(self, response: Response) -> Response:
        """The same, of any. Raises what it means, if it means something else than an answer."""
        return response

    def _start(self) -> None:
        self._began = perf_counter()
        self._watch()

    def _spent(self, response: Response) -> Spent:
        took_s = perf_counter() - self._began
        return read_spent(response.headers, took_s=took_s, queue_s=self._exchange.queue_s)

    def _out_of_time(self) -> None:
        limit = f"the call was ended after {self._limit_s:g} s, which is its limit"
        self._exchange.abandon(TimedOut(limit))


def _reply(read: Response, spent: Spent) -> Reply:
    return Reply(read.status, read.headers, read.body, spent)


def call_head(
    call: Call, host: str, *, ours: Headers | None = None, dropped: frozenset[bytes] = frozenset()
) -> RequestHead:
    """Of the request that is the call: `ours` and the caller's headers but for those `dropped`. `host` is
    what the backend knows the service by: the `Host` header."""
    target = b"/?" + call.query if call.query else b"/"
    own = [(b"x-request-id", call.request_id), *call.own] if call.request_id else call.own
    passed = call.headers
    if dropped:
        own = [one for one in own if one[0] not in dropped]
        passed = [one for one in passed if one[0] not in dropped]
    headers = [(b"host", host.encode()), *(ours or ()), *passed]
    return RequestHead(b"POST", target, headers, own, call.kept)


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
