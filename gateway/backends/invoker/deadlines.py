"""Deadlines: what is to be called when its time is over, looked for by one timer for all of them. A timer a
call would cost a twentieth of the call; given up is being punctual: it may be `LOOK_S` late, never early."""

import asyncio
from collections.abc import Callable, Hashable

LOOK_S = 0.2


class Deadlines:
    def __init__(self) -> None:
        self._due: dict[Hashable, tuple[float, Callable[[], None]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def set(self, key: Hashable, late: Callable[[], None], after_s: float) -> None:
        """Call `late` once, unless it is cancelled by then."""
        loop = asyncio.get_running_loop()
        self._due[key] = (loop.time() + after_s, late)
        if self._timer is None:
            self._timer = loop.call_later(LOOK_S, self._look)

    def cancel(self, key: Hashable) -> None:
        """Fine if there is none."""
        self._due.pop(key, None)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for key, (at, late) in list(self._due.items()):
            if at <= now and self._due.pop(key, None) is not None:
                late()
        self._timer = loop.call_later(LOOK_S, self._look) if self._due else None
