"""Why a Job has no pod: a quota that is used up shows neither in the Job nor in a pod, only in an event."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from gateway.backends.cluster import Cluster, ClusterConflict
from gateway.backends.launcher.kubernetes.fate import DETAIL, Fate
from gateway.domain.job import EndReason

PATIENCE_S = 3.0
"""The controller makes a Job's pod at once; before that long there is nothing to wonder about."""
FRESH_S = 2.0
"""How long a listing of events serves: behind a backlog many Jobs have no pod yet, and one asks for all."""

PASSING = (
    "exceeded quota",
    "error looking up service account",
    "failed calling webhook",
    "Internal error occurred",
    "context deadline exceeded",
)
"""In what the API told the controller: what gets better by itself, or by people who are at it. A namespace
that was just made has no service account yet; an admission webhook may be starting."""


class Refusals:
    def __init__(self, cluster: Cluster, *, now: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._now = now
        self._told: dict[str, str] = {}
        """The last message about each Job, by its uid."""
        self._fresh_until: datetime | None = None
        self._listing = asyncio.Lock()

    async def why_no_pod(self, job: Mapping[str, Any]) -> Fate | None:
        """None while a pod may still come. Else the Job is gone when this returns, so that none comes later:
        what was refused is launched again as another attempt. Raises Unavailable, Forbidden."""
        metadata = job["metadata"]
        created = datetime.fromisoformat(metadata["creationTimestamp"])
        patient = self._now() - created < timedelta(seconds=PATIENCE_S)
        if patient or job["status"].get("active") or job["status"].get("conditions"):
            return None
        refusal = await self._refusal(metadata["uid"])
        if not refusal or not await self._deleted(metadata):
            return None
        why = " ".join(refusal.split())[:DETAIL]
        passing = any(sign in refusal for sign in PASSING)
        return Fate(EndReason.REFUSED if passing else EndReason.NOT_STARTED, detail=why)

    async def _refusal(self, uid: str) -> str:
        async with self._listing:
            if self._fresh_until is None or self._now() >= self._fresh_until:
                self._told = await self._list()
                self._fresh_until = self._now() + timedelta(seconds=FRESH_S)
        return self._told.get(uid, "")

    async def _list(self) -> dict[str, str]:
        path = f"/api/v1/namespaces/{self._cluster.namespace}/events"
        chosen = "involvedObject.kind=Job,reason=FailedCreate"
        listed = await self._cluster.list(path, field_selector=chosen)
        return {event["involvedObject"].get("uid", ""): event.get("message", "") for event in listed["items"]}

    async def _deleted(self, metadata: Mapping[str, Any]) -> bool:
        """False if the Job changed since it was seen: then it may have a pod by now."""
        preconditions = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
        options = {"propagationPolicy": "Background", "preconditions": preconditions}
        path = f"/apis/batch/v1/namespaces/{self._cluster.namespace}/jobs/{metadata['name']}"
        try:
            await self._cluster.delete(path, options)
        except ClusterConflict:
            return False
        return True
