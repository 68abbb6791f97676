"""Hindrances: what a waiting pod waits for, as a real cluster tells of it."""

from typing import Any

import pytest

from gateway.backends.launcher.kubernetes.hindrance import hindrance_of

UNPLACED = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
PULLING = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "nowhere"'}


def pod(phase: str = "Pending", **status: Any) -> dict[str, Any]:
    return {"metadata": {}, "spec": {}, "status": {"phase": phase, **status}}


def container(**waiting: str) -> list[dict[str, Any]]:
    return [{"name": "oscar-container", "state": {"waiting": waiting}}]


@pytest.mark.parametrize(
    ("there", "told"),
    [
        (
            pod(conditions=[{**UNPLACED, "message": "0/1 nodes are available:\n1 Insufficient cpu."}]),
            "no node takes its pod: 0/1 nodes are available: 1 Insufficient cpu.",
        ),
        (pod(conditions=[UNPLACED]), "no node takes its pod"),
        (
            pod(containerStatuses=container(**PULLING)),
            'oscar-container: ImagePullBackOff: Back-off pulling image "nowhere"',
        ),
        (pod(containerStatuses=container(reason="ContainerCreating")), ""),
        (pod(conditions=[{**UNPLACED, "status": "True"}]), ""),
        (pod(), ""),
        (pod("Running", containerStatuses=container(**PULLING)), ""),
    ],
)
def test_it_says_what_is_waited_for(there: dict[str, Any], told: str) -> None:
    assert hindrance_of(there) == told
