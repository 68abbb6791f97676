"""Following the cluster's services into memory, each with its secrets. Nothing that is wrong with one of
them, or with the API server, ends it."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from datetime import datetime
from typing import Any

import structlog

from gateway.backends.cluster import Change, Cluster
from gateway.backends.registry.kubernetes.config_map import LABEL, Entry, parse
from gateway.backends.registry.kubernetes.memory import Memory
from gateway.backends.registry.kubernetes.secret_reader import SecretReader
from gateway.backends.registry.record import RecordError
from gateway.domain.problems import NotFound, Problem, Unavailable

RETRY_S = 2.0
AT_ONCE = 100
"""ConfigMaps read before others get their turn on the loop."""

log = structlog.get_logger(__name__)


class Following:
    def __init__(self, cluster: Cluster, memory: Memory, now: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._memory = memory
        self._now = now
        self._secrets = SecretReader(cluster)
        self._unreadable: dict[str, str] = {}
        self._trouble: Problem | None = None
        self.path = f"/api/v1/namespaces/{cluster.namespace}/configmaps"
        self.synced = asyncio.Event()

    @property
    def unreadable(self) -> int:
        """How many ConfigMaps of services cannot be read."""
        return len(self._unreadable)

    def require_current(self) -> None:
        """Raises Unavailable with what keeps changes from being seen."""
        if self._trouble is not None:
            raise Unavailable(self._trouble.detail, retry_after_s=1)
        if not self.synced.is_set():
            raise Unavailable("the services were not read yet", retry_after_s=1)

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                async with aclosing(self._cluster.watch(self.path, LABEL, report=self._report)) as changes:
                    async for change in changes:
                        await self._take(change)
            except Problem as problem:
                # Of a Secret. What was not taken in comes again with the whole list.
                if self._trouble is None:
                    log.warning("services.unreadable", why=problem.detail)
                self._report(problem)
                await asyncio.sleep(RETRY_S)

    async def look_up(self, name: str) -> None:
        """Take in the one of that name as it stands now.

        Raises NotFound, Unavailable also if it is there but cannot be read, and other Problems.
        """
        standing = self._memory.entry(name)
        try:
            found = await self._cluster.get(f"{self.path}/{name}")
        except NotFound:
            if standing is not None:
                self._memory.drop(name, standing.object_uid)
            raise
        if LABEL not in (found["metadata"].get("labels") or {}):
            raise NotFound(f"the ConfigMap {name} is no service's")
        entry = await self._read(found)
        if entry is None:
            raise Unavailable(f"the definition of the service {name} cannot be read", retry_after_s=60)
        self._memory.put(entry)

    async def _read(self, found: Mapping[str, Any]) -> Entry | None:
        """One ConfigMap, with its secrets; None, told once, if it cannot be read. Raises Problems."""
        name, version = found["metadata"]["name"], found["metadata"]["resourceVersion"]
        try:
            entry = parse(found, now=self._now())
        except RecordError as error:
            if self._unreadable.get(name) != version:
                log.error("service.unreadable", config_map=name, why=str(error))
            self._unreadable[name] = version
            return None
        self._unreadable.pop(name, None)
        return await self._secrets.fill(entry)

    def _report(self, problem: Problem | None) -> None:
        self._trouble = problem

    async def _take(self, change: Change) -> None:
        if change.kind == "SYNCED":
            await self._take_whole(change.object)
        elif change.kind == "DELETED":
            metadata = change.object["metadata"]
            self._unreadable.pop(metadata["name"], None)
            self._memory.drop(metadata["name"], metadata["uid"], version=int(metadata["resourceVersion"]))
        elif entry := await self._read(change.object):
            self._memory.put(entry)

    async def _take_whole(self, listed: Mapping[str, Any]) -> None:
        entries: list[Entry] = []
        names = {found["metadata"]["name"] for found in listed["items"]}
        self._unreadable = {name: one for name, one in self._unreadable.items() if name in names}
        await self._secrets.read_all()
        for number, found in enumerate(listed["items"], 1):
            standing = self._memory.entry(found["metadata"]["name"])
            if standing and standing.version == int(found["metadata"]["resourceVersion"]):
                entries.append(standing)
            elif entry := await self._read(found):
                entries.append(entry)
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        # A service whose ConfigMap cannot be read any more stays as it was: its jobs go on.
        version = int(listed["metadata"]["resourceVersion"])
        self._memory.replace(entries, keep=frozenset(self._unreadable), version=version)
        self._secrets.forget()
        self.synced.set()
