"""What is watched: the Jobs of all attempts and their pods, as the cluster last told of them."""

from collections.abc import Callable, Iterable
from typing import Any

from gateway.backends.cluster import Change, Cluster
from gateway.backends.launcher.kubernetes.manifest import ATTEMPT_LABEL, attempt_of
from gateway.domain.job import AttemptId

Found = dict[str, Any]


class Watched:
    """One kind of object, by attempt. `changed` is called for every attempt there is news of."""

    def __init__(self, cluster: Cluster, path: str, changed: Callable[[AttemptId], None]) -> None:
        self._cluster = cluster
        self._path = path
        self._changed = changed
        self._found: dict[AttemptId, Found] = {}
        self.synced = False
        """Whether what is not here is nowhere."""

    def get(self, attempt: AttemptId) -> Found | None:
        return self._found.get(attempt)

    def attempts(self) -> frozenset[AttemptId]:
        return frozenset(self._found)

    async def follow(self) -> None:
        """For ever."""
        async for change in self._cluster.watch(self._path, ATTEMPT_LABEL):
            self._take(change)

    def _take(self, change: Change) -> None:
        if change.kind == "SYNCED":
            before = self._found
            self._found = {}
            for one in change.object["items"]:
                self._put(one)
            self.synced = True
            self._tell({*before, *self._found})
            return
        attempt = attempt_of(change.object)
        if attempt is None:
            return
        if change.kind != "DELETED":
            self._put(change.object)
        elif _uid(self._found.get(attempt)) == _uid(change.object):
            del self._found[attempt]
        self._tell([attempt])

    def _put(self, one: Found) -> None:
        attempt = attempt_of(one)
        if attempt is not None:
            self._found[attempt] = one

    def _tell(self, attempts: Iterable[AttemptId]) -> None:
        for attempt in attempts:
            self._changed(attempt)


def _uid(found: Found | None) -> str | None:
    return None if found is None else str(found["metadata"]["uid"])
