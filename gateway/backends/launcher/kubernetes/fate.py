"""Fate: what became of an attempt, read from its Job's and its pod's status. Pure; what the pod itself said
is put together with it in `ending_of`.

The Job tells little: that it failed, not why. The exit code stands in the container's status only, and a
child killed for memory shows as any exit code with the reason OOMKilled.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from gateway.backends.launcher.kubernetes.containers import SCRIPT, STAGE_IN, STAGE_OUT
from gateway.backends.launcher.kubernetes.manifest import STOPPED
from gateway.domain.job import AttemptId, Ending, EndReason

Status = Mapping[str, Any]

HOPELESS = frozenset({"InvalidImageName"})
STUCK = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "CreateContainerConfigError",
        "CreateContainerError",
    }
)
"""Why a container waits that may not get better by itself."""
NEVER_RAN = frozenset({"StartError", "ContainerCannotRun", "RunContainerError"})
GONE_AFTER_S = 120.0
"""A pod that is still there so long after it should be gone is on a node that does not answer."""
DETAIL = 300


@dataclass(frozen=True, slots=True)
class Fate:
    reason: EndReason
    exit_code: int | None = None
    detail: str = ""


def fate_of(job: Status | None, pod: Status | None, *, now: datetime, pull_limit_s: float) -> Fate | None:
    """None while it goes on. Either may be missing: not there yet, or gone."""
    stopped = job is not None and STOPPED in job["metadata"].get("annotations", {})
    if stopped and (pod is None or not pod["spec"].get("nodeName")):
        return Fate(EndReason.CANCELLED)
    if pod is None:
        found = _without_pod(job)
    elif pod["status"].get("phase") in ("Succeeded", "Failed"):
        found = _ended(pod)
    else:
        found = _stuck(pod, now, pull_limit_s) or _lost(pod, now)
        if found is None and job is None:
            found = Fate(EndReason.INTERRUPTED, detail="its Job was deleted")
    return replace(found, reason=EndReason.CANCELLED) if found is not None and stopped else found


def ending_of(attempt: AttemptId, fate: Fate, said: Ending | None) -> Ending:
    """Fate and what the pod said of itself (None: nothing) as one. The pod knows what it stored, and why it
    ended the script; only the status knows of memory, of evictions and of cancelling."""
    if said is None:
        return _unsaid(attempt, fate)
    code = said.exit_code if said.exit_code is not None else fate.exit_code
    if fate.reason is EndReason.CANCELLED:
        return replace(said, reason=fate.reason, exit_code=code, detail="")
    told_to_end = said.reason is EndReason.INTERRUPTED and fate.reason is not EndReason.EXITED
    if fate.reason is EndReason.MEMORY_LIMIT or told_to_end:
        detail = "; ".join(dict.fromkeys(filter(None, (fate.detail, said.detail))))
        return replace(said, reason=fate.reason, exit_code=code, detail=detail)
    return replace(said, exit_code=code)


def containers_of(pod: Status) -> Iterator[Status]:
    """The status of each."""
    status = pod["status"]
    yield from status.get("initContainerStatuses", ())
    yield from status.get("containerStatuses", ())


def condition_of(pod: Status, kind: str, *, status: str = "True") -> Status | None:
    """The pod's condition of that kind, if that is its status."""
    conditions = pod["status"].get("conditions", ())
    return next((one for one in conditions if one["type"] == kind and one["status"] == status), None)


def script_state(pod: Status) -> Status:
    """`waiting`, `running` or `terminated` of the script's container, or nothing."""
    return _state(pod, SCRIPT)


def message_of(pod: Status, container: str) -> str:
    """The last words of a container."""
    return str(_state(pod, container).get("terminated", {}).get("message", ""))


def _unsaid(attempt: AttemptId, fate: Fate) -> Ending:
    if fate.reason is EndReason.EXITED and fate.exit_code == 0:
        # Its outputs are not where they belong, as far as anybody knows.
        return Ending(attempt, EndReason.STAGING, exit_code=0, detail="its pod did not report what it stored")
    return Ending(attempt, fate.reason, exit_code=fate.exit_code, detail=fate.detail)


def _without_pod(job: Status | None) -> Fate | None:
    if job is None:
        return Fate(EndReason.INTERRUPTED, detail="its Job was deleted")
    for condition in job["status"].get("conditions", ()):
        if condition["type"] in ("Failed", "Complete") and condition["status"] == "True":
            told = f"{condition.get('reason', '')}: {condition.get('message', '')}"[:DETAIL]
            if condition.get("reason") == "DeadlineExceeded":
                return Fate(EndReason.NOT_STARTED, detail="no node took its pod in time")
            return Fate(EndReason.INTERRUPTED, detail=f"its pod was removed ({told})")
    return None


def _ended(pod: Status) -> Fate:
    status = pod["status"]
    script = _state(pod, SCRIPT).get("terminated", {})
    code = script.get("exitCode")
    began = bool(script) and script.get("reason") not in NEVER_RAN
    if status.get("reason") == "Evicted":
        return _evicted(status, code)
    if status.get("reason") == "DeadlineExceeded":
        reason = EndReason.TIME_LIMIT if began else EndReason.NOT_STARTED
        return Fate(reason, code, "its pod was at its deadline")
    if script.get("reason") == "OOMKilled":
        return Fate(EndReason.MEMORY_LIMIT, code)
    disrupted = condition_of(pod, "DisruptionTarget")
    if disrupted is not None:
        return Fate(EndReason.INTERRUPTED, code, str(disrupted.get("message", ""))[:DETAIL])
    return Fate(EndReason.EXITED, code) if began else _not_begun(pod, script)


def _not_begun(pod: Status, script: Status) -> Fate:
    if script.get("reason") in NEVER_RAN:
        why = str(script.get("message", "")).strip()[:DETAIL]
        return Fate(EndReason.NOT_STARTED, detail=f"its container does not start: {why}")
    for name in (STAGE_IN, STAGE_OUT):
        own = _state(pod, name).get("terminated", {})
        if own.get("exitCode"):
            why = f"{own.get('reason', '')} {own['exitCode']}: {own.get('message', '')}".strip()[:DETAIL]
            return Fate(EndReason.STAGING, detail=f"{name} ended with {why}")
    status = pod["status"]
    why = f"{status.get('reason', '')} {status.get('message', '')}".strip()[:DETAIL]
    return Fate(EndReason.INTERRUPTED, detail=why or "its pod ended before the script began")


def _evicted(status: Status, code: int | None) -> Fate:
    """A pod that filled its own disk did so by its script; one that had to go for others did not."""
    why = str(status.get("message", ""))[:DETAIL]
    own_doing = any(word in why for word in ("EmptyDir", "emptyDir", "ephemeral local storage usage"))
    return Fate(EndReason.OUTPUT_LIMIT if own_doing else EndReason.INTERRUPTED, code, why)


def _stuck(pod: Status, now: datetime, pull_limit_s: float) -> Fate | None:
    status = pod["status"]
    since = datetime.fromisoformat(status.get("startTime") or pod["metadata"]["creationTimestamp"])
    for container in containers_of(pod):
        waiting = container.get("state", {}).get("waiting", {})
        reason = waiting.get("reason", "")
        late = now - since > timedelta(seconds=pull_limit_s)
        if reason in HOPELESS or (late and reason in STUCK):
            why = " ".join(str(waiting.get("message", "")).split())[:DETAIL]
            return Fate(EndReason.NOT_STARTED, detail=f"{container['name']}: {reason}: {why}".rstrip(": "))
    return None


def _lost(pod: Status, now: datetime) -> Fate | None:
    deleted = pod["metadata"].get("deletionTimestamp")
    if deleted and now - datetime.fromisoformat(deleted) > timedelta(seconds=GONE_AFTER_S):
        return Fate(EndReason.INTERRUPTED, detail="its node does not answer")
    return None


def _state(pod: Status, name: str) -> Status:
    state: Status = next((one.get("state", {}) for one in containers_of(pod) if one["name"] == name), {})
    return state
