"""Manifests: everything of a definition that a Job can carry, and nothing that the script must not have."""

from dataclasses import replace
from typing import Any

from gateway.backends.launcher.kubernetes.manifest import (
    Terms,
    job_deadline_s,
    job_manifest,
    same_identity,
    terms_of,
)
from gateway.settings import Settings
from tests.contracts.test_launcher import order

SETTINGS = Settings.model_validate(
    {"pod_image": "ours:1", "internal_url": "http://gateway", "image_pull_policy": "Always"}
)
TERMS: Terms = terms_of(SETTINGS)


def made(**of_service: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The Job, its pod's spec, the script's container."""
    job = job_manifest(order("true", **of_service), TERMS, claim="the claim")
    pod = job["spec"]["template"]["spec"]
    return job, pod, container(pod, "oscar-container")


def container(pod: dict[str, Any], name: str) -> dict[str, Any]:
    every: list[dict[str, Any]] = [*pod["initContainers"], *pod["containers"]]
    return next(one for one in every if one["name"] == name)


def test_resources_are_limits_as_in_oscar() -> None:
    _, _, script = made(
        cpu="1.5", memory="1Gi", enable_gpu=True, enable_sgx=True, ephemeral_storage_request="2Gi"
    )
    assert script["resources"] == {
        "limits": {
            "cpu": "1.5",
            "memory": str(1 << 30),
            "nvidia.com/gpu": "1",
            "sgx.intel.com/enclave": "1",
        },
        "requests": {"ephemeral-storage": "2Gi"},
    }
    assert script["securityContext"]["capabilities"]["add"] == ["SYS_RAWIO"]


def test_labels_annotations_pull_secrets_and_the_node_are_the_services() -> None:
    job, pod, script = made(
        labels={"team": "a"},
        annotations={"note": "b"},
        image_pull_secrets=["registry"],
        interlink_node_name="far-away",
    )
    for metadata in (job["metadata"], job["spec"]["template"]["metadata"]):
        assert metadata["labels"]["team"] == "a"
        assert metadata["annotations"]["note"] == "b"
        assert metadata["labels"]["oscar-gateway/attempt"] == job["metadata"]["name"]
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["nodeSelector"] == {"kubernetes.io/hostname": "far-away"}
    assert script["imagePullPolicy"] == "Always"


def test_variables_stand_as_they_are_and_secrets_come_from_the_services_secret() -> None:
    environment = {"variables": {"A": "$(HOME)"}, "secrets": {"KEY": "s3cret"}}
    job, _, script = made(environment=environment)
    assert {"name": "A", "value": "$$(HOME)"} in script["env"]
    assert script["envFrom"] == [{"secretRef": {"name": "worker", "optional": True}}]
    assert "s3cret" not in str(job)


def test_the_claim_is_in_our_containers_only_and_no_volume_of_theirs_is_in_the_scripts() -> None:
    _, pod, script = made()
    assert "the claim" not in str(script)
    for name in ("stage-in", "stage-out"):
        assert {"name": "CLAIM", "value": "the claim"} in container(pod, name)["env"]
    assert [mount["name"] for mount in script["volumeMounts"]] == ["work"]
    assert pod["automountServiceAccountToken"] is False
    assert "shareProcessNamespace" not in pod


def test_everything_is_as_unprivileged_as_it_can_be() -> None:
    _, pod, _ = made()
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for one in (*pod["initContainers"], *pod["containers"]):
        assert one["securityContext"]["allowPrivilegeEscalation"] is False
        assert one["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    for name in ("stage-in", "stage-out"):
        security = container(pod, name)["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["readOnlyRootFilesystem"] is True


def test_the_pods_deadline_is_behind_the_scripts_and_the_jobs_far_behind_that() -> None:
    asked = order("true", limit_s=100)
    job = job_manifest(asked, TERMS, claim="")
    pod_s = job["spec"]["template"]["spec"]["activeDeadlineSeconds"]
    assert pod_s >= 100 + SETTINGS.staging_limit_s + SETTINGS.image_pull_limit_s
    assert job["spec"]["activeDeadlineSeconds"] == job_deadline_s(asked, TERMS) > pod_s + 86400
    assert job["spec"]["backoffLimit"] == 0


def test_a_job_is_recognised_by_its_attempt_and_its_service_whatever_the_claim() -> None:
    asked = order("true")
    first, again = (job_manifest(asked, TERMS, claim=claim) for claim in ("1", "2"))
    assert first["metadata"] == again["metadata"]
    assert same_identity(first, asked)
    assert not same_identity(first, order("true"))
    assert not same_identity(first, replace(asked, deployed=replace(asked.deployed, uid="another")))
    assert not same_identity({"metadata": {"name": asked.attempt}}, asked)
