"""A KService: a Knative Service as the cluster tells of it, read once a change, asked at every call."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.backends.invoker.knative.manifest import DEFINITION, UPDATED_AT

TEXT_LIMIT = 300

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class KService:
    """`ready` is True, False or Unknown, as Knative has it, of the generation that stands there. `host` is
    where calls go."""

    name: str
    uid: str
    generation: int
    ready: str
    reason: str
    since: datetime | None
    routed: bool
    """Calls reach some revision."""
    newest: str
    """The revision that is to answer."""
    serving: str
    """The last revision that was ready, or ""."""
    definition: str
    updated_at: datetime | None
    host: str


def read_kservice(service: Object) -> KService:
    """From a Knative Service."""
    metadata, status = service["metadata"], service.get("status", {})
    annotations = metadata.get("annotations", {})
    conditions = {one["type"]: one for one in status.get("conditions", [])}
    ready = conditions.get("Ready", {})
    current = status.get("observedGeneration") == metadata["generation"]
    return KService(
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata["generation"],
        ready=ready.get("status", "Unknown") if current else "Unknown",
        reason=_reason(conditions) if current else "",
        since=_moment(ready.get("lastTransitionTime", "")),
        routed=conditions.get("RoutesReady", {}).get("status") == "True",
        newest=status.get("latestCreatedRevisionName", "") if current else "",
        serving=status.get("latestReadyRevisionName", ""),
        definition=annotations.get(DEFINITION, ""),
        updated_at=_moment(annotations.get(UPDATED_AT, "")),
        host=f"{metadata['name']}.{metadata['namespace']}.svc.cluster.local",
    )


def _reason(conditions: dict[str, Object]) -> str:
    """That of the revision, where it failed: the route only says that there is none."""
    configured = conditions.get("ConfigurationsReady", {})
    told = configured if configured.get("status") == "False" else conditions.get("Ready", {})
    return " ".join(str(told.get("message", "")).split())[:TEXT_LIMIT]


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
