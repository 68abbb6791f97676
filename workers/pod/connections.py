"""Connections of a pod: for as many requests at the same time as there are, kept for the next ones."""

from collections.abc import Iterator
from contextlib import contextmanager

from workers.pod.http import Http


class Connections:
    def __init__(self, *, verify: bool = True) -> None:
        self._verify = verify
        self._idle: list[Http] = []

    @contextmanager
    def one(self) -> Iterator[Http]:
        """For one at a time; after a failure nobody uses it again."""
        http = self._idle.pop() if self._idle else Http(verify=self._verify)
        try:
            yield http
        except BaseException:
            http.close()
            raise
        self._idle.append(http)

    def close(self) -> None:
        """Those that nobody uses."""
        while self._idle:
            self._idle.pop().close()
