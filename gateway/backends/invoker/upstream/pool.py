"""The pool: connections by origin, at most so many each, lent to one request at a time."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from time import monotonic
from typing import cast

from gateway.backends.invoker.upstream.connection import Connection
from gateway.backends.invoker.upstream.message import Origin
from gateway.domain.problems import Unavailable

CLOSE_S = 1.0
"""How long closing waits for the transports to say that they are closed."""


@dataclass(slots=True)
class _Lane:
    """One origin's. `taken` counts places: connections lent, idle or being opened. The connection used last
    is lent first, so that what a quiet time does not need grows old."""

    origin: Origin
    taken: int = 0
    idle: list[Connection] = field(default_factory=list)
    waiting: deque[asyncio.Future[Connection | None]] = field(default_factory=deque)


class Pool:
    def __init__(self, *, connect_timeout_s: float, idle_timeout_s: float, per_origin_limit: int) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._idle_timeout_s = idle_timeout_s
        self._limit = per_origin_limit
        self._lanes: dict[Origin, _Lane] = {}
        self._open_ones: set[Connection] = set()
        self._sweeping: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._closed = False

    async def borrow(self, origin: Origin) -> Connection:
        """To be given back. Waits for a place, and then for the connection, the connect timeout each.

        Raises Unavailable: nothing was sent.
        """
        connection = self.borrow_now(origin)
        if connection is not None:
            return connection
        lane = self._lanes.get(origin)
        if lane is None:
            lane = self._lanes[origin] = _Lane(origin)
        if lane.taken < self._limit:
            lane.taken += 1
            return await self._open(lane)
        handed = await self._wait(lane)
        if handed is not None and not handed.closed:
            return handed
        return await self._open(lane)

    def borrow_now(self, origin: Origin) -> Connection | None:
        """As `borrow`, if one is idle."""
        lane = self._lanes.get(origin)
        while lane is not None and lane.idle:
            connection = lane.idle.pop()
            if not connection.closed:
                return connection
            # Its place is free; nobody waits for one while there are idle ones.
            lane.taken -= 1
        return None

    def give_back(self, connection: Connection, *, reusable: bool) -> None:
        lane = self._lanes[connection.origin]
        if not reusable or connection.closed or self._closed:
            connection.abort()
            self._free(lane)
            return
        # Not the loop's clock: before Python 3.12, finding the loop is a call into the system.
        connection.rest(monotonic())
        if not self._hand(lane, connection):
            lane.idle.append(connection)
            self._sweep_later()

    def idle(self) -> int:
        return sum(len(lane.idle) for lane in self._lanes.values())

    async def close(self) -> None:
        """Every connection, lent ones too."""
        self._closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        for connection in list(self._open_ones):
            connection.abort()
        self._empty.clear()
        if self._open_ones:
            async with asyncio.timeout(CLOSE_S):
                await self._empty.wait()

    async def _open(self, lane: _Lane) -> Connection:
        """On a place that is taken already."""
        try:
            connection = await self._connect(lane.origin)
        except BaseException:
            self._free(lane)
            raise
        self._open_ones.add(connection)
        return connection

    async def _connect(self, origin: Origin) -> Connection:
        loop = asyncio.get_running_loop()
        connection = Connection(origin, self._lost)
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                protocol = cast("asyncio.Protocol", connection)
                await loop.create_connection(lambda: protocol, origin.host, origin.port)
        except TimeoutError as error:
            raise Unavailable(
                "the backend takes no connection; nothing was executed", retry_after_s=5
            ) from error
        except OSError as error:
            raise Unavailable(
                "the backend cannot be reached; nothing was executed", retry_after_s=1
            ) from error
        if connection.closed:
            raise Unavailable("the backend closed the connection; nothing was executed", retry_after_s=1)
        return connection

    async def _wait(self, lane: _Lane) -> Connection | None:
        """A connection, or None for a place to open one on."""
        turn: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        lane.waiting.append(turn)
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                return await turn
        except TimeoutError as error:
            self._pass_on(lane, turn)
            raise Unavailable(
                "too many calls at the moment; nothing was executed", retry_after_s=1
            ) from error
        except asyncio.CancelledError:
            self._pass_on(lane, turn)
            raise

    def _pass_on(self, lane: _Lane, turn: asyncio.Future[Connection | None]) -> None:
        """What came for one who stopped waiting in the same moment is the next one's."""
        if not turn.done() or turn.cancelled():
            if turn in lane.waiting:
                lane.waiting.remove(turn)
            return
        connection = turn.result()
        if connection is None:
            self._free(lane)
        else:
            self.give_back(connection, reusable=True)

    def _free(self, lane: _Lane) -> None:
        """A place is free: the next one's who waits, or nobody's."""
        if self._hand(lane, None):
            return
        lane.taken -= 1
        if not lane.taken:
            self._lanes.pop(lane.origin, None)

    def _hand(self, lane: _Lane, connection: Connection | None) -> bool:
        while lane.waiting:
            turn = lane.waiting.popleft()
            if not turn.done():
                turn.set_result(connection)
                return True
        return False

    def _lost(self, connection: Connection) -> None:
        """One that is lent is its borrower's to give back."""
        lane = self._lanes.get(connection.origin)
        if lane is not None and connection in lane.idle:
            lane.idle.remove(connection)
            self._free(lane)
        self._open_ones.discard(connection)
        if not self._open_ones:
            self._empty.set()

    def _sweep_later(self) -> None:
        if self._sweeping is None:
            loop = asyncio.get_running_loop()
            self._sweeping = loop.call_later(self._idle_timeout_s / 2, self._sweep)

    def _sweep(self) -> None:
        """Close what was idle for too long: an intermediary may have forgotten it."""
        self._sweeping = None
        before = monotonic() - self._idle_timeout_s
        for lane in self._lanes.values():
            for connection in lane.idle:
                if connection.idle_since <= before:
                    connection.abort()
            if lane.idle:
                self._sweep_later()
