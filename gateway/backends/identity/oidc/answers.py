"""Answers about tokens, remembered by their digests for a while. Not the tokens."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.backends.identity.protocol import Caller
from gateway.domain.problems import Problem

REMEMBERED = 10_000
"""Tokens of users, and as many that were refused: who has none cannot crowd out who has one."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Why, to be said anew each time: an exception that is raised again grows."""

    kind: type[Problem]
    detail: str
    retry_after_s: int | None = None

    def problem(self) -> Problem:
        return self.kind(self.detail, retry_after_s=self.retry_after_s)


class Answers:
    """`clock` counts seconds."""

    def __init__(self, clock: Callable[[], float], *, most: int = REMEMBERED) -> None:
        self._clock = clock
        self._most = most
        self._callers: dict[bytes, tuple[Caller, float]] = {}
        self._refused: dict[bytes, tuple[Refused, float]] = {}

    def get(self, digest: bytes) -> Caller | Refused | None:
        known = self._callers.get(digest) or self._refused.get(digest)
        return known[0] if known is not None and self._clock() < known[1] else None

    def keep(self, digest: bytes, answer: Caller | Refused, *, for_s: float) -> None:
        """In place of any other; beyond `most` the oldest is forgotten."""
        until = self._clock() + for_s
        self._callers.pop(digest, None)
        self._refused.pop(digest, None)
        if isinstance(answer, Caller):
            self._callers[digest] = answer, until
        else:
            self._refused[digest] = answer, until
        for kept in (self._callers, self._refused):
            if len(kept) > self._most:
                del kept[next(iter(kept))]

    def __len__(self) -> int:
        return len(self._callers) + len(self._refused)
