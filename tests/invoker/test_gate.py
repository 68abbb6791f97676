"""A call waits for an instance of its service as long as one may come, and is told at once where none
will."""

import asyncio
from typing import Any

import pytest

from gateway.backends.cluster import Change
from gateway.backends.invoker.knative.fleet import Fleet
from gateway.backends.invoker.knative.gate import Patience, pass_gate
from gateway.domain.problems import TimedOut, Unavailable

FULL = "0/1 nodes are available: 1 Insufficient cpu."


def kservice(ready: str, message: str = "") -> dict[str, Any]:
    condition = {"type": "Ready", "status": ready, "message": message}
    return {
        "metadata": {"name": "grey", "namespace": "svc", "uid": "uid", "generation": 1},
        "status": {
            "observedGeneration": 1,
            "latestCreatedRevisionName": "grey-1",
            "conditions": [condition, {**condition, "type": "ConfigurationsReady"}],
        },
    }


def pod(*, placed: bool = False, waiting: str = "") -> dict[str, Any]:
    """Not ready yet."""
    told = {"type": "PodScheduled", "status": str(placed), "message": "" if placed else FULL}
    container = {"name": "oscar-container", "image": "img", "state": {"waiting": {"reason": waiting}}}
    labels = {"serving.knative.dev/service": "grey", "serving.knative.dev/revision": "grey-1"}
    return {
        "metadata": {"name": "grey-1-pod", "labels": labels},
        "status": {"conditions": [told], "containerStatuses": [container] if waiting else []},
    }


@pytest.fixture
def fleet() -> Fleet:
    """Of one service, whose only pod no node takes: Knative calls it failed."""
    fleet = Fleet()
    fleet.reported("services", None)
    fleet.reported("pods", None)
    fleet.note(kservice("False", f'Revision "grey-1" failed with message: {FULL}'))
    fleet.pods_changed(Change("ADDED", pod()))
    return fleet


def impatient() -> Patience:
    return Patience(instance_s=0.05, service_s=0.05)


async def test_a_pod_that_no_node_takes_is_waited_for_whatever_knative_says(fleet: Fleet) -> None:
    passing = asyncio.create_task(pass_gate(fleet, "grey", within_s=20, patience=impatient()))
    done, _ = await asyncio.wait([passing], timeout=1)
    assert not done
    fleet.pods_changed(Change("MODIFIED", pod(placed=True)))
    fleet.note(kservice("True"))
    await passing


async def test_after_the_limit_it_is_told_why(fleet: Fleet) -> None:
    with pytest.raises(TimedOut, match=r"no node takes the pod: .*Insufficient cpu"):
        await pass_gate(fleet, "grey", within_s=0.3, patience=impatient())


async def test_what_does_not_pass_by_itself_is_told_at_once(fleet: Fleet) -> None:
    fleet.pods_changed(Change("MODIFIED", pod(placed=True, waiting="ErrImagePull")))
    with pytest.raises(Unavailable, match="cannot be pulled"):
        await pass_gate(fleet, "grey", within_s=20, patience=impatient())


async def test_a_service_that_failed_and_has_no_pod_left_is_told_at_once(fleet: Fleet) -> None:
    fleet.pods_changed(Change("DELETED", pod()))
    with pytest.raises(Unavailable, match="Insufficient cpu"):
        await pass_gate(fleet, "grey", within_s=20, patience=impatient())
