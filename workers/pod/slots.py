"""The slots of a pod: who may run a script now, and who waits for that."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from workers.pod.slot import Slot


class Slots:
    """`close` belongs to `begin`."""

    def __init__(self, pipes: Path, count: int, *, used: bool) -> None:
        self._slots = [Slot(pipes, number, on_free=self._freed, used=used) for number in range(count)]
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._taken: set[Slot] = set()

    @property
    def open(self) -> bool:
        """Whether every loop in the user's container is there."""
        return all(slot.open for slot in self._slots)

    def begin(self) -> None:
        """Raises OSError."""
        for slot in self._slots:
            slot.begin()

    @asynccontextmanager
    async def take(self, *, within_s: float) -> AsyncIterator[Slot]:
        """A free slot, first come, first served. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            slot = await self._free()
        try:
            yield slot
        finally:
            self._taken.discard(slot)
            if slot.free:
                self._freed(slot)

    def quit(self) -> None:
        for slot in self._slots:
            slot.quit()

    def close(self) -> None:
        for slot in self._slots:
            slot.close()

    async def _free(self) -> Slot:
        while True:
            found = next((slot for slot in self._slots if slot.free and slot not in self._taken), None)
            if found is not None:
                self._taken.add(found)
                return found
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._pass_on(turn)
                raise

    def _freed(self, slot: Slot) -> None:
        if slot not in self._taken:
            self._wake()

    def _wake(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _pass_on(self, turn: "asyncio.Future[None]") -> None:
        """Whoever was woken and does not come lets the next one in."""
        if turn.done() and not turn.cancelled():
            self._wake()
