"""The manifest: an order as a Kubernetes Job. Its name is the attempt's id, so that a repeat meets itself;
who it is stands in annotations.

Times: the script's own limit is kept inside the pod, by stage-out. The pod's deadline, well behind it,
catches what that could not; it keeps the pod with its log and exit codes. The Job's, far behind, would
delete them, and is for a pod that never gets a node.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.backends.launcher.kubernetes.containers import (
    OWN,
    STAGE_IN,
    STAGE_OUT,
    WORK,
    own_container,
    script_container,
)
from gateway.backends.launcher.protocol import Order
from gateway.domain.job import AttemptId
from gateway.settings import Settings

ATTEMPT_LABEL = "oscar-gateway/attempt"
SERVICE_UID, STOPPED = "oscar-gateway/service-uid", "oscar-gateway/stopped"
"""Annotations: whose the Job is; why its pod was told to end."""

STOP_GRACE_S = 30
UNPLACED_LIMIT_S = 7 * 86400
"""How long a pod may wait for a node."""
KEPT_S = 86400
"""How long an ended Job stays if nobody settles it."""
INTERLINK = "virtual-node.interlink/no-schedule"

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Terms:
    """What every Job has of the settings."""

    image: str
    image_pull_policy: str
    service_pull_policy: str
    gateway_url: str
    disk_bytes: int
    beside_script_s: float
    """How long a pod may live beyond its script's limit: pulling images, staging in and out."""


def terms_of(settings: Settings) -> Terms:
    return Terms(
        image=settings.pod_image,
        image_pull_policy=settings.pod_image_pull_policy,
        service_pull_policy=settings.image_pull_policy,
        gateway_url=settings.internal_url,
        disk_bytes=settings.pod_disk_limit,
        beside_script_s=settings.staging_limit_s + settings.image_pull_limit_s + STOP_GRACE_S,
    )


def job_deadline_s(order: Order, terms: Terms) -> int:
    """After which nothing of the attempt is left, its claim included."""
    return _pod_deadline_s(order, terms) + UNPLACED_LIMIT_S


def job_manifest(order: Order, terms: Terms, *, claim: str) -> Manifest:
    service = order.deployed.service
    labels = {**service.labels, ATTEMPT_LABEL: order.attempt}
    pod = _pod_spec(order, terms, claim)
    spec = {
        "backoffLimit": 0,
        "completions": 1,
        "parallelism": 1,
        "activeDeadlineSeconds": job_deadline_s(order, terms),
        "ttlSecondsAfterFinished": KEPT_S,
        "podReplacementPolicy": "Failed",
        # A second pod would be a second run: retries are ours. But it is told: the Job outlives its pod.
        "podFailurePolicy": {
            "rules": [
                {
                    "action": "FailJob",
                    "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                }
            ]
        },
        "template": {"metadata": {"labels": labels, "annotations": dict(service.annotations)}, "spec": pod},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": order.attempt,
            "labels": labels,
            "annotations": {**service.annotations, SERVICE_UID: order.deployed.uid},
        },
        "spec": spec,
    }


def same_identity(found: Mapping[str, Any], order: Order) -> bool:
    """Whether the Job of that name is the order's own. The service may have been updated since."""
    metadata = found["metadata"]
    return (
        attempt_of(found) == order.attempt
        and metadata.get("annotations", {}).get(SERVICE_UID) == order.deployed.uid
    )


def attempt_of(found: Mapping[str, Any]) -> AttemptId | None:
    """Of a Job or a pod; None for somebody else's."""
    attempt = found["metadata"].get("labels", {}).get(ATTEMPT_LABEL)
    return AttemptId(attempt) if attempt else None


def _pod_deadline_s(order: Order, terms: Terms) -> int:
    return math.ceil(order.limit_s + terms.beside_script_s)


def _pod_spec(order: Order, terms: Terms, claim: str) -> Manifest:
    service = order.deployed.service
    env = {"ATTEMPT": order.attempt, "GATEWAY_URL": terms.gateway_url, "CLAIM": claim}
    ours = {"image": terms.image, "pull_policy": terms.image_pull_policy}
    spec: Manifest = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": _pod_deadline_s(order, terms),
        "terminationGracePeriodSeconds": STOP_GRACE_S,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "initContainers": [own_container(STAGE_IN, "workers.pod.stage_in", env=env, **ours)],
        "containers": [
            own_container(STAGE_OUT, "workers.pod.stage_out", env=env, **ours),
            script_container(service, pull_policy=terms.service_pull_policy),
        ],
        "volumes": [
            {"name": WORK, "emptyDir": {"sizeLimit": str(terms.disk_bytes)}},
            {"name": OWN, "emptyDir": {"sizeLimit": str(terms.disk_bytes)}},
        ],
    }
    if service.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in service.image_pull_secrets]
    if service.interlink_node_name:
        spec["nodeSelector"] = {"kubernetes.io/hostname": service.interlink_node_name}
        spec["tolerations"] = [{"key": INTERLINK, "operator": "Exists"}]
    return spec
