"""The containers of a Job's pod: the service's own, and ours before and beside it. What they share stands in
`manifest`."""

from collections.abc import Mapping
from typing import Any

from gateway.domain.definition import Service
from gateway.staging import layout

Container = dict[str, Any]

SCRIPT, STAGE_IN, STAGE_OUT = "oscar-container", "stage-in", "stage-out"
"""Names; the first is OSCAR's."""
WORK, OWN = "work", "own"
"""Volumes: what all containers see, and what only ours see."""

OWN_USER = 65532
OWN_RESOURCES = {
    "requests": {"cpu": "10m", "memory": "48Mi"},
    "limits": {"cpu": "1", "memory": "256Mi"},
}
GPU, ENCLAVE = "nvidia.com/gpu", "sgx.intel.com/enclave"


def script_container(service: Service, *, pull_policy: str) -> Container:
    """Without any credential of ours. The image's own user and working directory stay."""
    container: Container = {
        "name": SCRIPT,
        "image": service.image,
        "command": ["/bin/sh", f"{layout.CONTAINER_ROOT}/run/runner.sh"],
        "env": [
            *(
                {"name": name, "value": _literal(text)}
                for name, text in service.environment.variables.items()
            ),
            {"name": "RESOURCE_ID", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "TMP_OUTPUT_DIR", "value": f"{layout.CONTAINER_ROOT}/{layout.OUTPUT}"},
        ],
        "resources": _resources(service),
        "securityContext": _security(service),
        "volumeMounts": [{"name": WORK, "mountPath": layout.CONTAINER_ROOT}],
    }
    if service.environment.secrets:
        container["envFrom"] = [{"secretRef": {"name": service.name, "optional": True}}]
    if pull_policy:
        container["imagePullPolicy"] = pull_policy
    return container


def own_container(
    name: str, module: str, *, image: str, pull_policy: str, env: Mapping[str, str]
) -> Container:
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": pull_policy,
        "command": ["python", "-m", module],
        "env": [{"name": key, "value": _literal(text)} for key, text in env.items()],
        "resources": OWN_RESOURCES,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": OWN_USER,
            "runAsGroup": OWN_USER,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": WORK, "mountPath": layout.CONTAINER_ROOT},
            {"name": OWN, "mountPath": "/own"},
        ],
    }


def _resources(service: Service) -> dict[str, dict[str, str]]:
    limits = {"cpu": service.cpu, "memory": str(service.memory_bytes)}
    if service.enable_gpu:
        limits[GPU] = "1"
    if service.enable_sgx:
        limits[ENCLAVE] = "1"
    resources = {"limits": limits}
    if service.ephemeral_storage_request:
        # What is not named here Kubernetes takes from the limits.
        resources["requests"] = {"ephemeral-storage": service.ephemeral_storage_request}
    return resources


def _security(service: Service) -> dict[str, Any]:
    capabilities: dict[str, list[str]] = {"drop": ["ALL"]}
    if service.enable_sgx:
        capabilities["add"] = ["SYS_RAWIO"]
    return {"allowPrivilegeEscalation": False, "capabilities": capabilities}


def _literal(text: str) -> str:
    """Kubernetes replaces `$(NAME)` in values."""
    return text.replace("$(", "$$(")
