"""Instances: a service's pods as Kubernetes tells of them, and what keeps one from working in words for
people."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.backends.invoker.knative.manifest import POD_CONTAINER, SCRIPT_CONTAINER

NO_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"})
NOT_CREATED = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
NOT_STARTED = frozenset({"StartError", "ContainerCannotRun"})
LOOPING = "CrashLoopBackOff"
TEXT_LIMIT = 300

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Trouble:
    """`lasting`: waiting for it to pass is of no use to a caller."""

    text: str
    lasting: bool = True


@dataclass(frozen=True, slots=True)
class Instance:
    """`memory_end_at`: when its script's container was last ended for memory."""

    name: str
    service: str
    revision: str
    ready: bool
    leaving: bool
    started_at: str
    trouble: Trouble | None = None
    memory_end_at: datetime | None = None


def read_instance(pod: Object) -> Instance:
    """From a pod."""
    metadata, status = pod["metadata"], pod.get("status", {})
    labels = metadata.get("labels", {})
    conditions = {one["type"]: one for one in status.get("conditions", [])}
    return Instance(
        name=metadata["name"],
        service=labels.get("serving.knative.dev/service", ""),
        revision=labels.get("serving.knative.dev/revision", ""),
        ready=conditions.get("Ready", {}).get("status") == "True",
        leaving="deletionTimestamp" in metadata,
        started_at=metadata.get("creationTimestamp", ""),
        trouble=_trouble(status, conditions),
        memory_end_at=_memory_end(status),
    )


def _trouble(status: Object, conditions: dict[str, Object]) -> Trouble | None:
    if status.get("reason") == "Evicted":
        return Trouble(f"the pod was evicted: {_short(status.get('message', ''))}")
    for container in status.get("containerStatuses", []):
        found = _container_trouble(container)
        if found is not None:
            return found
    placed = conditions.get("PodScheduled", {})
    if placed.get("status") == "False":
        return Trouble(f"no node takes the pod: {_short(placed.get('message', ''))}", lasting=False)
    return None


def _container_trouble(container: Object) -> Trouble | None:
    whose = {SCRIPT_CONTAINER: "the service's container", POD_CONTAINER: "the gateway's container"}.get(
        container["name"], f"the container {container['name']}"
    )
    waiting = container.get("state", {}).get("waiting", {})
    reason = waiting.get("reason", "")
    if reason in NO_IMAGE:
        return Trouble(f"the image {container.get('image', '')!r} cannot be pulled ({reason})")
    if reason in NOT_CREATED:
        return Trouble(f"{whose} cannot be started: {_short(waiting.get('message', reason))}")
    ended = container.get("state", {}).get("terminated", {})
    if ended.get("reason") in NOT_STARTED:
        return Trouble(f"{whose} cannot be started: {_short(ended.get('message', ''))}")
    if reason == LOOPING:
        return Trouble(f"{whose} ends again and again: {_how_it_ended(container)}")
    return None


def _how_it_ended(container: Object) -> str:
    ended = container.get("lastState", {}).get("terminated", {})
    if ended.get("reason") == "OOMKilled":
        return "it uses more memory than the service has"
    told = _short(ended.get("message", ""))
    return f"exit status {ended.get('exitCode')}" + (f", {told}" if told else "")


def _memory_end(status: Object) -> datetime | None:
    for container in status.get("containerStatuses", []):
        if container["name"] != SCRIPT_CONTAINER:
            continue
        for state in (container.get("state", {}), container.get("lastState", {})):
            ended = state.get("terminated", {})
            if ended.get("reason") == "OOMKilled" and ended.get("finishedAt"):
                return datetime.fromisoformat(ended["finishedAt"])
    return None


def _short(text: str) -> str:
    return " ".join(text.split())[:TEXT_LIMIT]
