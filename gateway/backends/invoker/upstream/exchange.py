"""An exchange: one request and its answer on a connection of the pool. What was written is never written
again elsewhere."""

import asyncio
from collections.abc import AsyncIterator, Callable
from time import perf_counter

from gateway.backends.invoker.upstream.answer import Answer
from gateway.backends.invoker.upstream.connection import Connection
from gateway.backends.invoker.upstream.headers import declared_length, head_bytes
from gateway.backends.invoker.upstream.message import Origin, RequestHead, Response
from gateway.backends.invoker.upstream.pool import Pool
from gateway.domain.body import Body
from gateway.domain.problems import Invalid

TOGETHER = 16 << 10
"""A body of so many bytes is copied behind its head: one write less costs less."""


class Exchange:
    """A context manager by hand: there is one a call, and a generator's costs as much as the rest of it."""

    queue_s = 0.0
    """How long it waited for a connection."""
    _answer: Answer | None = None
    _sending: asyncio.Task[None] | None = None
    _abandoned: Exception | None = None

    def __init__(self, pool: Pool, origin: Origin, head: RequestHead, body: Body) -> None:
        self._pool = pool
        self._origin = origin
        self._head = head
        self._body = body
        self._connection: Connection

    async def __aenter__(self) -> Response:
        """Once the answer's head is there, which may be before the body is sent."""
        answer = self._answer or await self._ask()
        answer.told = None
        try:
            return await answer.response()
        except BaseException as error:
            failure = error
        # Out of the handler: compiled code loses what it handles when it waits.
        await self._leave()
        raise failure

    def begin(self, told: Callable[[], None]) -> bool:
        """Without waiting: whether the request, whose body has to be there, is under way. `told` is called
        once, when `response_now` has something to say or to raise; after that the context is to be entered as
        ever, or left by `leave_now`. Raises Invalid."""
        head = self._head_bytes(len(self._body) if isinstance(self._body, bytes) else None)
        connection = self._pool.borrow_now(self._origin)
        if connection is None:
            return False
        self._write(connection, head).told = told
        return True

    def response_now(self) -> Response | None:
        """Of what was begun, if it is whole. What it became instead, entering the context tells."""
        answer = self._answer
        return answer.response_now() if answer is not None and answer.complete else None

    def leave_now(self) -> None:
        """What was begun, and not entered."""
        answer = self._answer
        if answer is not None:
            self._answer = answer.told = None
            self._pool.give_back(self._connection, reusable=answer.complete and answer.reusable)

    async def _ask(self) -> Answer:
        body = self._body
        length = len(body) if isinstance(body, bytes) else declared_length(self._head.headers)
        head = self._head_bytes(length)
        began = perf_counter()
        connection = await self._pool.borrow(self._origin)
        self.queue_s = perf_counter() - began
        if self._abandoned is not None:
            self._pool.give_back(connection, reusable=True)
            raise self._abandoned
        answer = self._write(connection, head)
        if not isinstance(body, bytes):
            self._sending = asyncio.get_running_loop().create_task(self._send(body, length))
            self._sending.add_done_callback(self._sent)
        return answer

    def _head_bytes(self, length: int | None) -> bytes:
        return head_bytes(self._origin, self._head, length=length)

    def _write(self, connection: Connection, head: bytes) -> Answer:
        """And the body, if it is there."""
        body = self._body if isinstance(self._body, bytes) else b""
        if len(body) <= TOGETHER:
            head, body = head + body, b""
        self._connection = connection
        self._answer = answer = connection.ask(head, to_head=self._head.method == b"HEAD")
        if body:
            connection.write(body)
        return answer

    def abandon(self, failure: Exception) -> None:
        """Whoever waits for the answer, or for more of it, gets this instead; who still waits for a
        connection does once that is there, and nothing is sent. Nothing, once the answer is whole."""
        answer = self._answer
        if answer is None:
            self._abandoned = failure
        if answer is not None and not answer.complete:
            answer.fail(failure)
            self._connection.abort()

    async def __aexit__(self, *_: object) -> None:
        """An answer that was not read to its end costs its connection, and tells the backend so."""
        await self._leave()

    async def _leave(self) -> None:
        answer, self._answer = self._answer, None
        whole = answer is not None and answer.complete and answer.reusable
        sending = self._sending
        if sending is not None:
            whole = whole and sending.done()
            sending.cancel()
        self._pool.give_back(self._connection, reusable=whole)
        if sending is not None:
            await asyncio.wait([sending])

    async def _send(self, body: AsyncIterator[bytes], length: int | None) -> None:
        """The body as fast as the backend takes it. Raises what the body raises, Invalid if it is not as
        long as it was declared."""
        connection, sent = self._connection, 0
        async for piece in body:
            if connection.closed:
                return
            if not piece:
                continue
            sent += len(piece)
            if length is None:
                connection.write_chunk(piece)
            elif sent <= length:
                connection.write(piece)
            await connection.drain()
        if length is None:
            connection.write(b"0\r\n\r\n")
        elif sent != length:
            raise Invalid(f"the body is {sent} bytes, declared were {length}", field="Content-Length")

    def _sent(self, sending: asyncio.Task[None]) -> None:
        """Of half a request no answer is of use."""
        if not sending.cancelled() and isinstance(failure := sending.exception(), Exception):
            self.abandon(failure)
