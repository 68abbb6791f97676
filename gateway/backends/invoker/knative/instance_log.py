"""The log of a service's instances: what its calls wrote to stderr, as long as the instances are there."""

from datetime import datetime

from gateway.backends.cluster import Cluster
from gateway.backends.invoker.knative.instances import Instance
from gateway.backends.invoker.knative.manifest import SCRIPT_CONTAINER
from gateway.backends.invoker.protocol import InstanceLog, LogLine
from gateway.domain.problems import Invalid, NotFound

LIMIT = 4 << 20
"""Of one instance's log, bytes."""


async def read_instance_log(cluster: Cluster, instances: list[Instance], *, tail: int) -> InstanceLog:
    """The last lines over all of them, oldest first. Raises Forbidden, Unavailable."""
    if not instances:
        message = "no instance is there at the moment; what calls wrote to stderr goes with their instance"
        return InstanceLog(available=False, message=message)
    lines: list[LogLine] = []
    for instance in instances:
        lines += await _read(cluster, instance.name, tail)
    if not lines:
        return InstanceLog(available=False, message="no call wrote to stderr yet")
    lines.sort(key=lambda line: line.at.timestamp() if line.at else 0.0)
    return InstanceLog(available=True, lines=tuple(lines[-tail:]))


async def _read(cluster: Cluster, pod: str, tail: int) -> list[LogLine]:
    """Nothing where there is no log yet, or no pod any more."""
    path = f"/api/v1/namespaces/{cluster.namespace}/pods/{pod}/log"
    query: dict[str, str | int] = {
        "container": SCRIPT_CONTAINER,
        "tailLines": tail,
        "limitBytes": LIMIT,
        "timestamps": "true",
    }
    text = b""
    try:
        async for piece in cluster.text(path, query):
            text += piece
    except (NotFound, Invalid):
        return []
    return [_line(raw) for raw in text.splitlines()]


def _line(raw: bytes) -> LogLine:
    """`<RFC 3339 with nanoseconds> <text>`; microseconds are what Python has."""
    stamp, _, text = raw.decode("utf-8", "replace").partition(" ")
    try:
        at = datetime.fromisoformat(stamp[:26].rstrip("Z") + "+00:00")
    except ValueError:
        return LogLine(raw.decode("utf-8", "replace"))
    return LogLine(text, at)
