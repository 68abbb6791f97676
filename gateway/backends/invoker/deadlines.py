"""Deadlines: what is to be called when its time is over, looked for by one timer for all of them. A timer a
call would cost a twentieth of the call; given up is being punctual: it may be `LOOK_S` late, never early."""

import asyncio
from collections.abc import Callable, Hashable
from time import monotonic

LOOK_S = 0.2


class Deadlines:
    def __init__(self) -> None:
        self._due: dict[Hashable, tuple[float, Callable[[], None]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def set(self, key: Hashable, late: Callable[[], None], after_s: float) -> None:
        """Call `late` once, unless it is cancelled by then."""
        self._due[key] = (monotonic() + after_s, late)
        if self._timer is None:
            self._look_later()

    def cancel(self, key: Hashable) -> None:
        """Fine if there is none."""
        self._due.pop(key, None)

    def _look(self) -> None:
        self._timer = None
        now = monotonic()
        for key, (at, late) in list(self._due.items()):
            if at <= now and self._due.pop(key, None) is not None:
                late()
        if self._due and self._timer is None:
            self._look_later()

    def _look_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._look)
