"""The manifest: what stands in the cluster for a service's calls: a Knative Service in OSCAR's shape, the
script it mounts and the secrets its script sees.

Script and secrets are objects of their own whose names hold a digest of their content: a pod of an older
revision never sees a newer script, and a change makes a new revision.
"""

import base64
import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gateway.domain.definition import Service
from gateway.domain.deployed import Deployed
from gateway.staging.pod_call import READY_PATH
from gateway.staging.workspace import CONFIG_FIELDS

LOOP = Path(__file__).with_name("loop.sh").read_text()
CALLS = "/oscar/calls"
CONFIG = "/oscar/config"
SCRIPT_CONTAINER = "oscar-container"
"""OSCAR's name for the user's container."""
POD_CONTAINER = "oscar-gateway"
PORT = 8080

DEFINITION = "oscar-gateway/definition"
"""Annotation: digest of all the rest."""
UPDATED_AT = "oscar-gateway/updated-at"
"""Annotation: of the definition it was made from."""
PART_OF = "oscar-gateway/calls-of"
"""Label of script and secrets. OSCAR's own label would make services of them."""
SERVICE_LABEL = "oscar_service"
VISIBILITY = {"networking.knative.dev/visibility": "cluster-local"}
OF_REVISION = ("autoscaling.knative.dev/", "features.knative.dev/", "client.knative.dev/")
"""Annotations with these prefixes belong to the revision; Knative refuses some of them elsewhere."""

MARGIN_S = 30
"""Knative's limit is longer than ours by this: past its own it lets a cut answer look whole."""
POD_RESOURCES = {
    "requests": {"cpu": "25m", "memory": "64Mi"},
    "limits": {"cpu": "1", "memory": "512Mi"},
}


@dataclass(frozen=True, slots=True)
class PodOptions:
    """What the settings say of every pod. Sizes in bytes, times in seconds."""

    image: str
    image_pull_policy: str
    script_image_pull_policy: str
    """"" leaves it to Kubernetes."""
    call_limit_s: float
    timeout_most_s: int
    log_limit: int
    output_limit: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """`service` refers to the other two by name."""

    service: dict[str, Any]
    script: dict[str, Any]
    secrets: dict[str, Any]

    @property
    def definition(self) -> str:
        digest: str = self.service["metadata"]["annotations"][DEFINITION]
        return digest


def call_limit_s(service: Service, options: PodOptions) -> float:
    """How long a call's script may take here: as the service or the settings say, and shorter than Knative
    lets anything take."""
    wanted = service.policy.call_limit_s or options.call_limit_s
    return min(wanted, options.timeout_most_s - MARGIN_S)


def build_manifest(deployed: Deployed, options: PodOptions) -> Manifest:
    service = deployed.service
    script = _script(service)
    secrets = _secrets(service)
    body = _service(service, options, script=_name(script), secrets=_name(secrets))
    annotations = body["metadata"]["annotations"]
    annotations[DEFINITION] = _digest(body)
    annotations[UPDATED_AT] = deployed.updated_at.isoformat()
    return Manifest(body, script, secrets)


def parts_of(spec: dict[str, Any]) -> set[str]:
    """Names of the scripts and secrets that a pod's `spec` refers to."""
    volumes = {volume.get("configMap", {}).get("name", "") for volume in spec.get("volumes", [])}
    sources = [source for one in spec.get("containers", []) for source in one.get("envFrom", [])]
    return volumes | {source.get("secretRef", {}).get("name", "") for source in sources}


def _service(service: Service, options: PodOptions, *, script: str, secrets: str) -> dict[str, Any]:
    of_revision = {key: text for key, text in service.annotations.items() if key.startswith(OF_REVISION)}
    scale = service.synchronous
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {
            "name": service.name,
            "labels": {**service.labels, SERVICE_LABEL: service.name, **VISIBILITY},
            "annotations": {key: text for key, text in service.annotations.items() if key not in of_revision},
        },
        "spec": {
            "template": {
                "metadata": {
                    "labels": {key: text for key, text in service.labels.items() if key == "vo"},
                    "annotations": {
                        **of_revision,
                        "autoscaling.knative.dev/min-scale": str(scale.min_scale),
                        "autoscaling.knative.dev/max-scale": str(scale.max_scale),
                    },
                },
                "spec": _pod(service, options, script=script, secrets=secrets),
            }
        },
    }


def _pod(service: Service, options: PodOptions, *, script: str, secrets: str) -> dict[str, Any]:
    timeout_s = math.ceil(call_limit_s(service, options)) + MARGIN_S
    pod: dict[str, Any] = {
        "containerConcurrency": service.policy.concurrency,
        "timeoutSeconds": timeout_s,
        "responseStartTimeoutSeconds": timeout_s,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        # The sidecar first: it is started first, and the loop waits for its pipes.
        "containers": [_sidecar(service, options), _script_container(service, options, secrets)],
        "volumes": [
            {"name": "calls", "emptyDir": {}},
            {"name": "oscar-config", "configMap": {"name": script}},
        ],
    }
    if service.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in service.image_pull_secrets]
    return pod


def _sidecar(service: Service, options: PodOptions) -> dict[str, Any]:
    arguments = {
        "--calls": CALLS,
        "--port": str(PORT),
        "--slots": str(service.policy.concurrency),
        "--log-limit": str(options.log_limit),
        "--output-limit": str(options.output_limit),
    }
    return {
        "name": POD_CONTAINER,
        "image": options.image,
        "imagePullPolicy": options.image_pull_policy,
        "command": ["python", "-m", "workers.pod.serve"],
        "args": [word for pair in arguments.items() for word in pair],
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": READY_PATH, "port": PORT}},
        "resources": POD_RESOURCES,
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "calls", "mountPath": CALLS}],
    }


def _script_container(service: Service, options: PodOptions, secrets: str) -> dict[str, Any]:
    variables = {
        **service.environment.variables,
        "OSCAR_SERVICE_NAME": service.name,
        "OSCAR_SERVICE_BASE_PATH": "",
    }
    policy = options.script_image_pull_policy
    return {
        "name": SCRIPT_CONTAINER,
        "image": service.image,
        **({"imagePullPolicy": policy} if policy else {}),
        "command": ["/bin/sh", "-c", LOOP, "loop"],
        "args": [str(service.policy.concurrency), CALLS, f"{CONFIG}/script.sh"],
        # Kubernetes would replace `$(NAME)`; two dollars mean one.
        "env": [{"name": name, "value": text.replace("$", "$$")} for name, text in variables.items()],
        "envFrom": [{"secretRef": {"name": secrets}}],
        "resources": _resources(service),
        "volumeMounts": [
            {"name": "calls", "mountPath": CALLS},
            {"name": "oscar-config", "mountPath": CONFIG, "readOnly": True},
        ],
    }


def _resources(service: Service) -> dict[str, dict[str, str]]:
    requests = {"cpu": service.cpu, "memory": service.memory}
    limits = dict(requests)
    if service.ephemeral_storage_request:
        requests["ephemeral-storage"] = service.ephemeral_storage_request
    if service.enable_gpu:
        limits["nvidia.com/gpu"] = "1"
    return {"requests": requests, "limits": limits}


def _script(service: Service) -> dict[str, Any]:
    """Files as OSCAR mounts them."""
    config = service.model_dump(mode="json", include=CONFIG_FIELDS)
    data = {
        "script.sh": service.script,
        "function_config.yaml": yaml.safe_dump(config, sort_keys=False),
    }
    return _part(service, {"kind": "ConfigMap", "data": data})


def _secrets(service: Service) -> dict[str, Any]:
    values = {**service.environment.secrets, "OSCAR_SERVICE_TOKEN": service.token}
    data = {name: base64.b64encode(text.encode()).decode() for name, text in values.items()}
    return _part(service, {"kind": "Secret", "type": "Opaque", "data": data})


def _part(service: Service, content: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": f"{service.name}-call-{_digest(content)[:10]}", "labels": {PART_OF: service.name}}
    return {"apiVersion": "v1", "immutable": True, "metadata": metadata, **content}


def _name(part: dict[str, Any]) -> str:
    name: str = part["metadata"]["name"]
    return name


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
