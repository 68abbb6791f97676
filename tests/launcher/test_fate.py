"""Fates: what the statuses of Jobs and pods mean, as a real cluster writes them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.backends.launcher.kubernetes.fate import Fate, ending_of, fate_of
from gateway.domain.job import AttemptId, Delivered, Ending, EndReason, Kept

AT = datetime(2026, 11, 24, 3, tzinfo=UTC)
ATTEMPT = AttemptId("worker-abcdefghij0123456789-1")
DELIVERED = Kept(delivered=(Delivered("data", "a", 1, "etag"),))


def job(*conditions: dict[str, Any], stopped: bool = False) -> dict[str, Any]:
    annotations = {"oscar-gateway/stopped": "cancelled"} if stopped else {}
    return {"metadata": {"annotations": annotations}, "status": {"conditions": list(conditions)}}


def pod(
    phase: str, *, node: str = "n1", script: Any = None, own: Any = None, **status: Any
) -> dict[str, Any]:
    """`script` and `own` are states of the containers oscar-container and stage-in."""
    containers = [{"name": "oscar-container", "state": script or {}}]
    return {
        "metadata": {"creationTimestamp": "2026-11-24T03:00:00Z"},
        "spec": {"nodeName": node} if node else {},
        "status": {
            "phase": phase,
            "startTime": "2026-11-24T03:00:00Z",
            "initContainerStatuses": [{"name": "stage-in", "state": own or {}}],
            "containerStatuses": containers,
            **status,
        },
    }


def exited(code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


def waiting(reason: str) -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": 'Back-off pulling image "nowhere"'}}


def fate(job: Any, pod: Any, *, after_s: float = 0.0) -> Fate | None:
    return fate_of(job, pod, now=AT + timedelta(seconds=after_s), pull_limit_s=60)


DISRUPTED = [{"type": "DisruptionTarget", "status": "True", "message": "preempted by others"}]


@pytest.mark.parametrize(
    ("there", "reason", "code"),
    [
        (pod("Succeeded", script=exited(0, "Completed")), EndReason.EXITED, 0),
        (pod("Failed", script=exited(23)), EndReason.EXITED, 23),
        (pod("Failed", script=exited(137, "OOMKilled")), EndReason.MEMORY_LIMIT, 137),
        (pod("Failed", script=exited(5, "OOMKilled")), EndReason.MEMORY_LIMIT, 5),
        (pod("Failed", script=exited(143), reason="DeadlineExceeded"), EndReason.TIME_LIMIT, 143),
        (pod("Failed", reason="DeadlineExceeded"), EndReason.NOT_STARTED, None),
        (
            pod("Failed", script=exited(143), reason="Evicted", message="low on memory"),
            EndReason.INTERRUPTED,
            143,
        ),
        (
            pod(
                "Failed", reason="Evicted", message='Usage of EmptyDir volume "work" exceeds the limit "1Gi".'
            ),
            EndReason.OUTPUT_LIMIT,
            None,
        ),
        (pod("Failed", script=exited(137), conditions=DISRUPTED), EndReason.INTERRUPTED, 137),
        (pod("Failed", script=exited(128, "StartError", "no /bin/sh")), EndReason.NOT_STARTED, None),
        (pod("Failed", own=exited(1, message="the store is away")), EndReason.STAGING, None),
        (pod("Failed", reason="UnexpectedAdmissionError", message="no GPU"), EndReason.INTERRUPTED, None),
    ],
)
def test_an_ended_pod_tells_why(there: dict[str, Any], reason: EndReason, code: int | None) -> None:
    found = fate(job(), there)
    assert found is not None
    assert (found.reason, found.exit_code) == (reason, code)


@pytest.mark.parametrize("there", [None, pod("Pending"), pod("Running", script={"running": {}})])
def test_what_goes_on_has_no_fate_yet(there: dict[str, Any] | None) -> None:
    assert fate(job(), there, after_s=9999) is None


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "CreateContainerConfigError"])
def test_an_image_may_fail_to_be_pulled_for_a_while(reason: str) -> None:
    there = pod("Pending", script=waiting(reason))
    assert fate(job(), there, after_s=59) is None
    found = fate(job(), there, after_s=61)
    assert found is not None
    assert found.reason is EndReason.NOT_STARTED
    assert "nowhere" in found.detail


def test_an_image_name_that_is_none_is_not_waited_for() -> None:
    found = fate(job(), pod("Pending", script=waiting("InvalidImageName")))
    assert found is not None
    assert found.reason is EndReason.NOT_STARTED


def test_a_pod_that_does_not_go_is_on_a_lost_node() -> None:
    there = pod("Running", script={"running": {}})
    there["metadata"]["deletionTimestamp"] = "2026-11-24T03:00:00Z"
    assert fate(job(), there, after_s=60) is None
    found = fate(job(), there, after_s=121)
    assert found is not None
    assert (found.reason, found.detail) == (EndReason.INTERRUPTED, "its node does not answer")


@pytest.mark.parametrize(
    ("ended", "reason"),
    [
        ({"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}, EndReason.NOT_STARTED),
        ({"type": "Failed", "status": "True", "reason": "PodFailurePolicy"}, EndReason.INTERRUPTED),
    ],
)
def test_a_job_without_its_pod_tells_what_it_knows(ended: dict[str, str], reason: EndReason) -> None:
    found = fate(job(ended), None)
    assert found is not None
    assert found.reason is reason


def test_a_job_that_somebody_deleted_was_interrupted() -> None:
    for there in (None, pod("Running", script={"running": {}})):
        found = fate(None, there)
        assert found is not None
        assert found.reason is EndReason.INTERRUPTED


def test_a_stopped_attempt_was_cancelled_once_it_ended_or_at_once_without_a_node() -> None:
    assert fate(job(stopped=True), pod("Running", script={"running": {}})) is None
    for there in (
        None,
        pod("Pending", node=""),
        pod("Failed", script=exited(143), reason="DeadlineExceeded"),
    ):
        found = fate(job(stopped=True), there)
        assert found is not None
        assert found.reason is EndReason.CANCELLED


def said(reason: EndReason, code: int | None = None, detail: str = "") -> Ending:
    return Ending(ATTEMPT, reason, exit_code=code, detail=detail, kept=DELIVERED)


def test_the_pod_knows_what_it_stored_and_why_it_ended_the_script() -> None:
    for reason in (EndReason.EXITED, EndReason.TIME_LIMIT, EndReason.STAGING, EndReason.OUTPUT_LIMIT):
        assert ending_of(ATTEMPT, Fate(EndReason.EXITED, 7), said(reason, 7)) == said(reason, 7)


def test_the_status_knows_of_memory_and_the_code_of_what_was_killed_whole() -> None:
    ending = ending_of(ATTEMPT, Fate(EndReason.MEMORY_LIMIT, 137), said(EndReason.EXITED))
    assert ending == said(EndReason.MEMORY_LIMIT, 137)


def test_of_a_pod_that_was_told_to_end_the_status_knows_why() -> None:
    fate = Fate(EndReason.OUTPUT_LIMIT, 143, "the disk is full")
    ending = ending_of(ATTEMPT, fate, said(EndReason.INTERRUPTED, 143))
    assert (ending.reason, ending.detail) == (EndReason.OUTPUT_LIMIT, "the disk is full")
    ending = ending_of(ATTEMPT, Fate(EndReason.EXITED, 143), said(EndReason.INTERRUPTED, 143))
    assert ending.reason is EndReason.INTERRUPTED


def test_a_success_that_nobody_reported_is_none() -> None:
    assert ending_of(ATTEMPT, Fate(EndReason.EXITED, 0), None).reason is EndReason.STAGING
    assert ending_of(ATTEMPT, Fate(EndReason.EXITED, 3), None).reason is EndReason.EXITED
