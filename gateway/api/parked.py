"""Parked calls: a held call while its job goes on. The task that took it in has ended, and what it had read
is gone: a call that waits is a few small objects. Its end, its time's end or its client's leaving begin the
next task.

Only where the server can be told to wait for an answer without a task; elsewhere a task waits, in `held`.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from starlette.types import Receive, Scope, Send

from gateway.actions.cancel_job import cancel_job
from gateway.actions.hold_call import begin_hold, end_hold
from gateway.api.call_line import CALLER
from gateway.api.incoming import ClientGone
from gateway.api.operations import Site
from gateway.api.outgoing import Outgoing
from gateway.api.terms import Terms, answer_as_it_is
from gateway.api.turn import Turn
from gateway.domain.job import JobId
from gateway.wire.departure import ANSWER, LATER
from gateway.wire.request import Request

SeeThrough = Callable[[Turn, Receive, Outgoing, Coroutine[None, None, str]], Coroutine[Any, Any, None]]

KEPT = ("type", "method", "http_version", "path", "client", CALLER)
"""Of the head: what answers, refusals and logs are made from."""


def can_park(turn: Turn) -> bool:
    return LATER in turn.scope


class Parked:
    __slots__ = ("_job", "_request", "_see_through", "_site", "_terms", "_turn")

    def __init__(self, site: Site, see_through: SeeThrough, turn: Turn, terms: Terms, job: JobId) -> None:
        self._site = site
        self._see_through = see_through
        self._turn = turn
        self._terms = terms
        self._job = job
        self._request: Request

    def begin(self, *, within_s: float) -> bool:
        """Whether there was a place; then the task that took the call in is to end without an answer. Only
        while nobody watches its client any more."""
        if not begin_hold(self._site.backends, self._job, self._told, within_s=within_s):
            return False
        self._request = self._turn.scope[LATER]()
        self._request.departure.callback = self._gone
        self._turn.parked = True
        _cut_down(self._turn.scope)
        return True

    def _told(self, _ended: bool) -> None:
        self._request.departure.callback = None
        self._go_on(self._answer)

    def _gone(self) -> None:
        self._go_on(self._give_up)

    def _go_on(self, app: Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]) -> None:
        end_hold(self._site.backends, self._job, self._told)
        self._request.go_on(app)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        outgoing = Outgoing(send, self._turn.request_id, at_once=scope.get(ANSWER))
        await self._finish(receive, outgoing, self._as_it_is(outgoing))

    async def _as_it_is(self, outgoing: Outgoing) -> str:
        backends = self._site.backends
        return await answer_as_it_is(backends, await backends.ledger.job(self._job), self._terms, outgoing)

    async def _give_up(self, _: Scope, receive: Receive, send: Send) -> None:
        await self._finish(receive, Outgoing(send, self._turn.request_id), self._cancel())

    async def _cancel(self) -> str:
        if not self._terms.comes_back:
            await cancel_job(self._site.backends, self._job, reason="its caller hung up")
        raise ClientGone

    async def _finish(
        self, receive: Receive, outgoing: Outgoing, answering: Coroutine[None, None, str]
    ) -> None:
        self._turn.parked = False
        try:
            await self._see_through(self._turn, receive, outgoing, answering)
        finally:
            self._site.backends.callers.leave(self._turn.whose)


def _cut_down(scope: Scope) -> None:
    """In place: others have it too."""
    kept = {name: scope[name] for name in KEPT if name in scope}
    accepts = [header for header in scope["headers"] if header[0] == b"accept"]
    scope.clear()
    scope.update(kept, headers=accepts)
