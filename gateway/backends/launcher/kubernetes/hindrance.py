"""A hindrance: what keeps a pod from running its script though nothing has failed, read from its status.
Pure. What ends the attempt is `fate`."""

from gateway.backends.launcher.kubernetes.fate import DETAIL, STUCK, Status, condition_of, containers_of


def hindrance_of(pod: Status) -> str:
    """One line for people, or ""."""
    if pod["status"].get("phase") != "Pending":
        return ""
    placed = condition_of(pod, "PodScheduled", status="False")
    if placed is not None:
        return _line("no node takes its pod", placed)
    for container in containers_of(pod):
        waiting = container.get("state", {}).get("waiting", {})
        if waiting.get("reason") in STUCK:
            return _line(f"{container['name']}: {waiting['reason']}", waiting)
    return ""


def _line(what: str, told: Status) -> str:
    why = " ".join(str(told.get("message", "")).split())[:DETAIL]
    return f"{what}: {why}" if why else what
