"""Writing services: the ConfigMap is what makes a deploy so, or a removal; secrets go before and after it."""

import secrets as random
from collections.abc import Awaitable
from typing import Any

import structlog

from gateway.backends.cluster import Cluster, ClusterConflict
from gateway.backends.registry.kubernetes.config_map import UID, UPDATED, Entry, render
from gateway.backends.registry.kubernetes.memory import Memory
from gateway.backends.registry.kubernetes.secret_writer import SecretWriter
from gateway.backends.registry.kubernetes.tidying import Tidying
from gateway.domain.deployed import Deployed
from gateway.domain.problems import Conflict, Invalid, NotFound, Problem, TooLarge, Unavailable

log = structlog.get_logger(__name__)


class Deploying:
    """One write at a time. Memory knows of each when it returns."""

    def __init__(self, cluster: Cluster, memory: Memory, secrets: SecretWriter, tidying: Tidying) -> None:
        self._cluster = cluster
        self._memory = memory
        self._secrets = secrets
        self._tidying = tidying
        self._path = f"/api/v1/namespaces/{cluster.namespace}/configmaps"

    async def create(self, deployed: Deployed) -> None:
        name = deployed.service.name
        if self._memory.entry(name) is not None:
            raise _taken(name)
        if deployed.service.environment.secrets:
            await self._secrets.require_free(name)
        await self._write(deployed, over=None)

    async def replace(self, deployed: Deployed, previous: Deployed) -> None:
        over = self._standing(deployed.service.name)
        if (over.deployed.uid, over.deployed.updated_at) != (previous.uid, previous.updated_at):
            raise _changed(deployed.service.name)
        await self._write(deployed, over=over)

    async def remove(self, name: str) -> None:
        entry = self._standing(name)
        try:
            await self._cluster.delete(f"{self._path}/{name}", {"preconditions": {"uid": entry.object_uid}})
        except ClusterConflict as error:
            # Deleted and made anew by somebody else: the one that was meant is gone.
            raise _absent(name) from error
        self._memory.drop(name, entry.object_uid)
        if entry.deployed.service.environment.secrets:
            await self._afterwards(name, self._secrets.remove(name, entry.secrets))

    async def _write(self, deployed: Deployed, *, over: Entry | None) -> None:
        service = deployed.service
        values = service.environment.secrets
        staging = bool(values) and not _has_secrets(over, values)
        secrets = random.token_hex(8) if staging else over.secrets if over and values else ""
        body = render(deployed, namespace=self._cluster.namespace, secrets=secrets, over=over)
        if staging:
            await self._secrets.stage(service.name, secrets, values)
        stored = await self._commit(body, over=over, staged=secrets if staging else "")
        metadata = stored["metadata"]
        entry = Entry(
            deployed=deployed,
            object_uid=metadata["uid"],
            version=int(metadata["resourceVersion"]),
            labels=metadata["labels"],
            annotations=metadata["annotations"],
            secrets=secrets,
        )
        self._memory.put(entry)
        if staging:
            await self._afterwards(service.name, self._secrets.settle(service.name, secrets, values))
        elif over and over.deployed.service.environment.secrets and not values:
            await self._afterwards(service.name, self._secrets.remove(service.name, over.secrets))

    async def _commit(self, body: dict[str, Any], *, over: Entry | None, staged: str) -> dict[str, Any]:
        """The ConfigMap as it is kept now. If nobody knows whether it is, what was staged stays for now."""
        name = body["metadata"]["name"]
        try:
            return await self._send(body, over=over)
        except Unavailable:
            self._tidying.soon()
            standing = await self._cluster.get(f"{self._path}/{name}")
            if not _same(standing, body):
                raise
            return standing
        except Problem:
            if staged:
                await self._afterwards(name, self._secrets.unstage(name, staged))
            raise

    async def _send(self, body: dict[str, Any], *, over: Entry | None) -> dict[str, Any]:
        name = body["metadata"]["name"]
        try:
            if over is None:
                return await self._cluster.create(self._path, body)
            return await self._cluster.replace(f"{self._path}/{name}", body)
        except ClusterConflict as error:
            raise (_taken(name) if over is None else _changed(name)) from error
        except NotFound as error:
            if over is None:
                raise Unavailable("the namespace of services is not there", retry_after_s=60) from error
            raise _absent(name) from error
        except TooLarge as error:
            raise Invalid(error.detail) from error

    async def _afterwards(self, name: str, step: Awaitable[None]) -> None:
        """The write is done; what is left is tidied up by whoever comes next."""
        try:
            await step
        except Problem as problem:
            log.warning("deploy.unfinished", service=name, why=problem.detail)
            self._tidying.soon()

    def _standing(self, name: str) -> Entry:
        entry = self._memory.entry(name)
        if entry is None:
            raise _absent(name)
        return entry


def _has_secrets(entry: Entry | None, values: dict[str, str]) -> bool:
    """Whether exactly these were written by us with it."""
    return entry is not None and bool(entry.secrets) and entry.deployed.service.environment.secrets == values


def _same(standing: dict[str, Any], body: dict[str, Any]) -> bool:
    annotations = standing["metadata"].get("annotations") or {}
    return all(annotations.get(key) == body["metadata"]["annotations"][key] for key in (UID, UPDATED))


def _taken(name: str) -> Conflict:
    return Conflict(f"there is a service {name} already")


def _changed(name: str) -> Conflict:
    return Conflict(f"the service {name} was changed by somebody else meanwhile")


def _absent(name: str) -> NotFound:
    return NotFound(f"there is no service {name}")
