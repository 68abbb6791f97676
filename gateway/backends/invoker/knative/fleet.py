"""The fleet: every Knative Service of ours and its instances, kept in memory by two watches, so that no call
asks the Kubernetes API anything."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

from gateway.backends.cluster import Change, Cluster
from gateway.backends.invoker.knative.deploying import Object
from gateway.backends.invoker.knative.instances import Instance, Trouble, read_instance
from gateway.backends.invoker.knative.kservice import KService, read_kservice
from gateway.backends.invoker.knative.manifest import SERVICE_LABEL
from gateway.domain.problems import Problem, Unavailable

POD_LABEL = "serving.knative.dev/service"


@asynccontextmanager
async def open_fleet(cluster: Cluster, services: str) -> AsyncIterator["Fleet"]:
    """`services` is the path of the Knative Services. The cluster may be away; then the fleet is empty until
    it is back."""
    fleet = Fleet()
    pods = f"/api/v1/namespaces/{cluster.namespace}/pods"
    async with asyncio.TaskGroup() as tasks:
        watches = [
            tasks.create_task(_follow(cluster, services, SERVICE_LABEL, fleet.services_changed, fleet)),
            tasks.create_task(_follow(cluster, pods, POD_LABEL, fleet.pods_changed, fleet)),
        ]
        try:
            yield fleet
        finally:
            for watch in watches:
                watch.cancel()


class Fleet:
    def __init__(self) -> None:
        self._kservices: dict[str, KService] = {}
        self._unready_since: dict[str, float] = {}
        """When we saw that what stands there is not ready, by the monotonic clock."""
        self._instances: dict[str, dict[str, Instance]] = defaultdict(dict)
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._problems: dict[str, Problem | None] = {}
        self._synced: set[str] = set()

    def kservice(self, service: str) -> KService | None:
        return self._kservices.get(service)

    def unready_s(self, service: str) -> float:
        """For how long, as far as we know, it has not been ready."""
        since = self._unready_since.get(service)
        return 0.0 if since is None else time.monotonic() - since

    def instances(self, service: str) -> list[Instance]:
        """Those that are not on their way out."""
        return [one for one in self._instances.get(service, {}).values() if not one.leaving]

    def ended_for_memory(self, service: str, name: str) -> bool:
        """Whether that instance's script container was ended for memory the last time it ended."""
        instance = self._instances.get(service, {}).get(name)
        return instance is not None and instance.memory_end_at is not None

    def lasting_trouble(self, service: str) -> Trouble | None:
        """Why no instance can answer, where waiting is of no use."""
        instances = self.instances(service)
        if any(one.ready for one in instances):
            return None
        return next((one.trouble for one in instances if one.trouble and one.trouble.lasting), None)

    def trouble(self, service: str) -> Trouble | None:
        """Anything at all that keeps an instance from working."""
        found = [one.trouble for one in self.instances(service) if one.trouble]
        return next((one for one in found if one.lasting), found[0] if found else None)

    @contextmanager
    def changes(self, service: str) -> Iterator[asyncio.Event]:
        """Set, again and again, whenever something of the service changed."""
        event = asyncio.Event()
        self._waiting[service].add(event)
        try:
            yield event
        finally:
            self._waiting[service].discard(event)
            if not self._waiting[service]:
                del self._waiting[service]

    def note(self, service: Object) -> None:
        """What an answer of the API says of a Knative Service, ahead of the watch."""
        kservice = read_kservice(service)
        known = self._kservices.get(kservice.name)
        if known is not None and known.uid == kservice.uid and known.generation > kservice.generation:
            # The watch is behind what we were told.
            return
        self._kservices[kservice.name] = kservice
        if kservice.ready == "True":
            self._unready_since.pop(kservice.name, None)
        else:
            self._unready_since.setdefault(kservice.name, time.monotonic())
        self._tell(kservice.name)

    def forget(self, service: str) -> None:
        self._kservices.pop(service, None)
        self._unready_since.pop(service, None)
        self._tell(service)

    def services_changed(self, change: Change) -> None:
        match change.kind:
            case "SYNCED":
                there = {item["metadata"]["name"] for item in change.object["items"]}
                for name in self._kservices.keys() - there:
                    self.forget(name)
                for item in change.object["items"]:
                    self.note(item)
            case "DELETED":
                known = self._kservices.get(change.object["metadata"]["name"])
                if known is not None and known.uid == change.object["metadata"]["uid"]:
                    self.forget(known.name)
            case _:
                self.note(change.object)

    def pods_changed(self, change: Change) -> None:
        match change.kind:
            case "SYNCED":
                told = set(self._instances)
                self._instances.clear()
                for item in change.object["items"]:
                    one = read_instance(item)
                    self._instances[one.service][one.name] = one
                for service in told | set(self._instances):
                    self._tell(service)
            case "DELETED":
                one = read_instance(change.object)
                self._instances[one.service].pop(one.name, None)
                if not self._instances[one.service]:
                    del self._instances[one.service]
                self._tell(one.service)
            case _:
                one = read_instance(change.object)
                self._instances[one.service][one.name] = one
                self._tell(one.service)

    def reported(self, path: str, problem: Problem | None) -> None:
        self._problems[path] = problem
        if problem is None:
            self._synced.add(path)

    def require_seeing(self) -> None:
        """Raises Unavailable if something keeps us from knowing what stands in the cluster."""
        for problem in self._problems.values():
            if problem is not None:
                raise Unavailable(f"Knative cannot be seen: {problem.detail}", retry_after_s=5)
        if len(self._synced) < 2:
            raise Unavailable("Knative has not been seen yet", retry_after_s=1)

    def _tell(self, service: str) -> None:
        for event in self._waiting.get(service, ()):
            event.set()


async def _follow(cluster: Cluster, path: str, label: str, changed: Any, fleet: Fleet) -> None:
    changes = cluster.watch(path, label, report=partial(fleet.reported, path))
    async for change in changes:
        changed(change)
