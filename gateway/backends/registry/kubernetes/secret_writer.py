"""Writing a service's secrets so that a deploy is whole or not at all.

The ConfigMap names the writing that belongs to it. Before it is written, the new secrets are staged in a
Secret of their own; after it, they are settled under the service's name, where pods read them. Whoever finds
a staged Secret later settles it, or removes it if the deploy never came to be.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import structlog

from gateway.backends.cluster import Cluster, ClusterConflict
from gateway.backends.registry.kubernetes.config_map import SECRETS, Entry
from gateway.backends.registry.kubernetes.secret import SELECTOR, Kept, managed, parse, render, staged_name
from gateway.domain.problems import Conflict, NotFound, Unavailable

GRACE_S = 120.0
"""A deploy that staged something longer ago than this has ended, whatever became of it."""

SETTLING_S = 10.0
"""A deploy that has come as far as its ConfigMap settles the rest sooner than this by itself."""
SETTLE_TRIES = 5

log = structlog.get_logger(__name__)


class SecretWriter:
    """Every method raises the Problems of a Cluster."""

    def __init__(self, cluster: Cluster, now: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._now = now
        base = f"/api/v1/namespaces/{cluster.namespace}"
        self._secrets, self._config_maps = f"{base}/secrets", f"{base}/configmaps"

    async def require_free(self, service: str) -> None:
        """Raises Conflict if a Secret that is no service's has the name: it is not ours to overwrite."""
        standing = await self._standing(service)
        if standing is not None and not managed(standing):
            raise Conflict(f"A secret with the name {service!r} exists already", field="name")

    async def stage(self, service: str, secrets: str, values: Mapping[str, str]) -> None:
        body = self._body(staged_name(service, secrets), service, secrets, values)
        await self._cluster.create(self._secrets, body)

    async def unstage(self, service: str, secrets: str) -> None:
        await self._cluster.delete(f"{self._secrets}/{staged_name(service, secrets)}")

    async def settle(self, service: str, secrets: str, values: Mapping[str, str]) -> None:
        """What was staged is what pods read, unless a later deploy has come meanwhile."""
        for _ in range(SETTLE_TRIES):
            standing = await self._standing(service)
            # In this order: whatever settles after this look changes the version that we replace.
            if await self._wanted(service) != secrets:
                break
            body = self._body(service, service, secrets, values)
            try:
                if standing is None:
                    await self._cluster.create(self._secrets, body)
                else:
                    body["metadata"]["resourceVersion"] = standing["metadata"]["resourceVersion"]
                    await self._cluster.replace(f"{self._secrets}/{service}", body)
            except (ClusterConflict, NotFound):
                continue
            break
        else:
            raise Unavailable(f"the secrets of {service} are changed by others all the time", retry_after_s=1)
        await self.unstage(service, secrets)

    async def remove(self, service: str, secrets: str) -> None:
        """Those of that writing, once their service is gone."""
        standing = await self._standing(service)
        if standing is not None and parse(standing).secrets == secrets:
            await self._delete_exactly(parse(standing))

    async def tidy(self, known: Callable[[str], Entry | None]) -> None:
        """Completes deploys that were cut off after their ConfigMap was written; undoes those before.

        What is as it should be by what is `known` is not asked for.
        """
        listed = await self._cluster.list(self._secrets, SELECTOR)
        for kept in map(parse, listed["items"]):
            entry = known(kept.service)
            if entry is not None and entry.secrets == kept.secrets and not kept.staged:
                continue
            wanted = await self._wanted(kept.service)
            age = self._now() - kept.written_at
            if wanted == kept.secrets:
                if kept.staged and age > timedelta(seconds=SETTLING_S):
                    await self.settle(kept.service, kept.secrets, kept.values)
                    log.warning("deploy.completed", service=kept.service)
            elif age > timedelta(seconds=GRACE_S) and await self._useless(kept, wanted):
                await self._delete_exactly(kept)
                log.warning("secret.removed", secret=kept.name)

    async def _wanted(self, service: str) -> str | None:
        """The writing that belongs to the service as it stands, "" if that is not ours; None: no service."""
        try:
            standing = await self._cluster.get(f"{self._config_maps}/{service}")
        except NotFound:
            return None
        annotations = standing["metadata"].get("annotations") or {}
        return str(annotations.get(SECRETS, ""))

    async def _useless(self, kept: Kept, wanted: str | None) -> bool:
        """Pods keep what they read until its successor is settled; OSCAR's own writings name none."""
        if kept.staged or wanted is None:
            return True
        return wanted != "" and await self._standing(staged_name(kept.service, wanted)) is None

    async def _standing(self, name: str) -> dict[str, Any] | None:
        try:
            return await self._cluster.get(f"{self._secrets}/{name}")
        except NotFound:
            return None

    async def _delete_exactly(self, kept: Kept) -> None:
        exactly = {"preconditions": {"uid": kept.object_uid, "resourceVersion": kept.version}}
        with suppress(ClusterConflict):
            await self._cluster.delete(f"{self._secrets}/{kept.name}", exactly)

    def _body(self, name: str, service: str, secrets: str, values: Mapping[str, str]) -> dict[str, Any]:
        return render(
            name,
            service=service,
            namespace=self._cluster.namespace,
            secrets=secrets,
            values=values,
            now=self._now(),
        )
