"""The lease: one worker of all watches. Two that do so for a moment are harmless, so it needs no fencing."""

import asyncio
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import structlog

from gateway.backends.cluster import Cluster
from gateway.domain.problems import Conflict, NotFound, Problem

log = structlog.get_logger(__name__)

NAME = "oscar-gateway-watch"
LASTS_S = 12.0
RENEW_S = 4.0
LETTING_GO_S = 2.0


class Lease:
    def __init__(
        self, cluster: Cluster, *, name: str = NAME, lasts_s: float = LASTS_S, renew_s: float = RENEW_S
    ) -> None:
        self._cluster = cluster
        self._name = name
        self._lasts_s = lasts_s
        self._renew_s = renew_s
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{cluster.namespace}/leases"
        self._who = f"worker-{secrets.token_hex(8)}"
        self._seen: tuple[str, float] = ("", 0.0)
        """The version of the lease that was seen last, and since when. Clocks of others are not trusted."""

    async def hold(self) -> None:
        """Returns once it is ours. Problems are waited out."""
        while True:
            try:
                if await self._take():
                    return
            except Conflict:
                continue
            except Problem as problem:
                log.warning("lease.unreadable", why=problem.detail)
            await asyncio.sleep(self._renew_s / 2)

    async def renew(self) -> None:
        """Returns once it is lost."""
        failing_since: float | None = None
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(self._renew_s)
            try:
                if not await self._take():
                    return
                failing_since = None
            except Conflict:
                continue
            except Problem:
                failing_since = failing_since or clock()
                if clock() - failing_since > self._lasts_s:
                    return

    async def let_go(self) -> None:
        """So that the next one need not wait."""
        with suppress(Problem, TimeoutError):
            async with asyncio.timeout(LETTING_GO_S):
                found = await self._cluster.get(f"{self._path}/{self._name}")
                if found["spec"].get("holderIdentity") == self._who:
                    found["spec"]["holderIdentity"] = ""
                    await self._cluster.replace(f"{self._path}/{self._name}", found)

    async def _take(self) -> bool:
        """Whether it is ours now. Raises Conflict if somebody was faster."""
        try:
            found = await self._cluster.get(f"{self._path}/{self._name}")
        except NotFound:
            metadata = {"name": self._name}
            body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}
            await self._cluster.create(self._path, {**body, "spec": self._held()})
            return True
        if found["spec"].get("holderIdentity") not in ("", None, self._who) and not self._over(found):
            return False
        found["spec"] = self._held()
        await self._cluster.replace(f"{self._path}/{self._name}", found)
        return True

    def _over(self, found: dict[str, Any]) -> bool:
        now, version = asyncio.get_running_loop().time(), found["metadata"]["resourceVersion"]
        if version != self._seen[0]:
            self._seen = (version, now)
        return now - self._seen[1] > self._lasts_s

    def _held(self) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        return {"holderIdentity": self._who, "leaseDurationSeconds": int(self._lasts_s), "renewTime": now}
