"""The rate of creates: what the API server takes without getting slow is found out, not guessed. More after
every success, most before the first refusal; half after a refusal; what it says of waiting is obeyed."""

import asyncio
from collections.abc import Callable

BEGIN_S = 50.0
LEAST_S = 1.0
STEP = 0.1
"""Added to the rate by a success: a second's worth of them, at 20 a second, adds 2."""
FIRST_STEP = 5.0
"""The same until the first refusal: as long as nothing is known of a limit, it may be several times as much a
second later. Only answers make it more, so that a server that is slow is not asked faster."""
BURST_S = 1.0
"""What was not used can be caught up with for as long."""


class Rate:
    def __init__(self, most_s: float, *, clock: Callable[[], float] | None = None) -> None:
        """`most_s` creates a second at most."""
        self._most_s = most_s
        self._rate_s = min(BEGIN_S, most_s)
        self._step = FIRST_STEP
        self._clock = clock or asyncio.get_running_loop().time
        self._next = self._clock()
        """When the next create may begin."""
        self._line = asyncio.Lock()

    @property
    def per_second(self) -> float:
        return self._rate_s

    async def turn(self) -> None:
        """Returns when it is the caller's turn, in order of asking."""
        async with self._line:
            # What is learned while we wait counts: a refusal puts us off, too.
            while (pause_s := self._next - self._clock()) > 0:  # noqa: ASYNC110  # for a moment
                await asyncio.sleep(pause_s)
            self._next = max(self._next, self._clock() - BURST_S) + 1 / self._rate_s

    def succeeded(self) -> None:
        self._rate_s = min(self._most_s, self._rate_s + self._step)

    def refused(self, *, retry_after_s: float = 0) -> None:
        """The API server has too much to do, or is away: nobody begins before it said."""
        self._step = STEP
        self._rate_s = max(LEAST_S, self._rate_s / 2)
        self._next = max(self._next, self._clock() + retry_after_s)
