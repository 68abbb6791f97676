"""Services in memory, in step with the API server whichever of our own writes, its events and its lists comes
first."""

import math
from collections.abc import Iterable
from dataclasses import replace

from gateway.backends.registry.kubernetes.config_map import Entry
from gateway.domain.deployed import Deployed

REMEMBERED = 10_000
"""Objects that are gone, and since which version; an older event about one may still be on its way."""
FOR_GOOD = math.inf


class Memory:
    """Versions are Kubernetes' resource versions, which grow over all objects of a kind."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._gone: dict[str, float] = {}
        self._ordered: list[Deployed] | None = []
        self.generation = 0

    def get(self, name: str) -> Deployed | None:
        entry = self._entries.get(name)
        return entry.deployed if entry else None

    def entry(self, name: str) -> Entry | None:
        return self._entries.get(name)

    def entries(self) -> list[Entry]:
        return list(self._entries.values())

    def ordered(self) -> list[Deployed]:
        if self._ordered is None:
            self._ordered = [self._entries[name].deployed for name in sorted(self._entries)]
        return self._ordered

    def put(self, entry: Entry) -> None:
        """Unless something newer is known already."""
        if self._newer(entry):
            self._entries[entry.deployed.service.name] = self._since_first_seen(entry)
            self._changed()

    def drop(self, name: str, object_uid: str, *, version: float = FOR_GOOD) -> None:
        """It is gone since `version`: deleted, or no service any more."""
        self._gone[object_uid] = version
        if len(self._gone) > REMEMBERED:
            del self._gone[next(iter(self._gone))]
        standing = self._entries.get(name)
        if standing is not None and standing.object_uid == object_uid:
            del self._entries[name]
            self._changed()

    def replace(self, listed: Iterable[Entry], *, keep: frozenset[str], version: int) -> None:
        """By a whole list of that version; what is newer than the list stays, and so does what is named in
        `keep`."""
        names = set(keep)
        for entry in listed:
            names.add(entry.deployed.service.name)
            self.put(entry)
        for name, entry in list(self._entries.items()):
            if name not in names and entry.version <= version:
                self.drop(name, entry.object_uid, version=version)

    def _newer(self, entry: Entry) -> bool:
        standing = self._entries.get(entry.deployed.service.name)
        gone = self._gone.get(entry.object_uid, 0)
        return entry.version > gone and (standing is None or standing.version < entry.version)

    def _since_first_seen(self, entry: Entry) -> Entry:
        """Inputs of a service that OSCAR wrote count from when we saw them first."""
        standing = self._entries.get(entry.deployed.service.name)
        if not entry.foreign or standing is None or standing.object_uid != entry.object_uid:
            return entry
        known = standing.deployed.inputs_since
        since = {path: known.get(path, when) for path, when in entry.deployed.inputs_since.items()}
        return replace(entry, deployed=replace(entry.deployed, inputs_since=since))

    def _changed(self) -> None:
        self._ordered = None
        self.generation += 1
