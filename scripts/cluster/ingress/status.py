"""What the ingress tells the cluster: where it is, and which Ingresses it serves."""

import json
import time

from telling import tell

NAMESPACE, NAME = "knative-serving", "lab-ingress"
CONDITIONS = ("LoadBalancerReady", "NetworkConfigured", "Ready")


def announce(kubectl, *, address, port):
    """The Service that leads to nginx, which is no pod."""
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "spec": {"ports": [{"name": "http", "port": 80, "targetPort": port}]},
    }
    slice_ = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": port}],
        "endpoints": [{"addresses": [address]}],
    }
    for one in (service, slice_):
        labels = {"kubernetes.io/service-name": NAME}
        one["metadata"] = {"name": NAME, "namespace": NAMESPACE, "labels": labels}
        applied = json.dumps(one).encode()
        kubectl.run("apply", "--server-side", "--force-conflicts", "-f", "-", input=applied)


def mark_ready(kubectl, ingress):
    """Once per generation."""
    metadata = ingress["metadata"]
    if is_ready(ingress.get("status", {}), metadata["generation"]):
        return
    place = ["-n", metadata["namespace"], "ingresses.networking.internal.knative.dev", metadata["name"]]
    patch = json.dumps({"status": ready(metadata["generation"])})
    options = ["--type=merge", "--subresource=status", "-p", patch]
    ran = kubectl.run("patch", *place, *options, check=False, capture_output=True, text=True)
    said = "ready" if ran.returncode == 0 else ran.stderr.strip()
    tell(f"{said} {metadata['namespace']} {metadata['name']} generation {metadata['generation']}")


def is_ready(status, generation):
    conditions = [(one["type"], one["status"]) for one in status.get("conditions", [])]
    return ("Ready", "True") in conditions and status.get("observedGeneration") == generation


def ready(generation):
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    leads = {"ingress": [{"domainInternal": f"{NAME}.{NAMESPACE}.svc.cluster.local"}]}
    return {
        "observedGeneration": generation,
        "publicLoadBalancer": leads,
        "privateLoadBalancer": leads,
        "conditions": [{"type": kind, "status": "True", "lastTransitionTime": now} for kind in CONDITIONS],
    }
