"""Why a Job has no pod: a quota that is used up shows neither in the Job nor in a pod, only in an event."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from gateway.backends.cluster import Cluster, ClusterConflict
from gateway.backends.launcher.kubernetes.fate import DETAIL, Fate
from gateway.domain.job import EndReason

PATIENCE_S = 3.0
"""The controller makes a Job's pod at once; before that long there is nothing to wonder about."""

PASSING = (
    "exceeded quota",
    "error looking up service account",
    "failed calling webhook",
    "Internal error occurred",
    "context deadline exceeded",
)
"""In what the API told the controller: what gets better by itself, or by people who are at it. A namespace
that was just made has no service account yet; an admission webhook may be starting."""


async def why_no_pod(cluster: Cluster, job: Mapping[str, Any], *, now: datetime) -> Fate | None:
    """None while a pod may still come. Else the Job is gone when this returns, so that none comes later: what
    was refused is launched again as another attempt. Raises Unavailable, Forbidden."""
    metadata = job["metadata"]
    age = now - datetime.fromisoformat(metadata["creationTimestamp"])
    if age < timedelta(seconds=PATIENCE_S) or job["status"].get("active") or job["status"].get("conditions"):
        return None
    refusal = await _refusal(cluster, metadata)
    if not refusal or not await _deleted(cluster, metadata):
        return None
    why = " ".join(refusal.split())[:DETAIL]
    passing = any(sign in refusal for sign in PASSING)
    return Fate(EndReason.REFUSED if passing else EndReason.NOT_STARTED, detail=why)


async def _refusal(cluster: Cluster, metadata: Mapping[str, Any]) -> str:
    chosen = f"involvedObject.kind=Job,involvedObject.uid={metadata['uid']},reason=FailedCreate"
    path = f"/api/v1/namespaces/{cluster.namespace}/events"
    found = await cluster.get(path, {"fieldSelector": chosen, "limit": 10})
    messages = [str(event.get("message", "")) for event in found["items"]]
    return messages[-1] if messages else ""


async def _deleted(cluster: Cluster, metadata: Mapping[str, Any]) -> bool:
    """False if the Job changed since it was seen: then it may have a pod by now."""
    preconditions = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
    options = {"propagationPolicy": "Background", "preconditions": preconditions}
    try:
        await cluster.delete(
            f"/apis/batch/v1/namespaces/{cluster.namespace}/jobs/{metadata['name']}", options
        )
    except ClusterConflict:
        return False
    return True
