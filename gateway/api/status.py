"""`/system/status`: the machine this runs on, and how much work there is, in the shape of OSCAR's cluster
status."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from gateway.actions.read_machine import Machine, read_machine
from gateway.api.answers import json_answer, seconds
from gateway.api.logs import OSCAR_STATUS
from gateway.api.operations import Ask
from gateway.backends.connect import Backends
from gateway.domain.job import Census
from gateway.settings import Settings, listed

COUNTED_OBJECTS = 1000
"""At most so many objects of a bucket are counted, as in OSCAR: a count is not worth reading a whole
listing."""


async def status(ask: Ask) -> Response:
    """Numbers are integers, cores are millicores. Jobs and buckets are counted for the administrator only."""
    machine = read_machine()
    census = await ask.backends.ledger.census() if ask.caller.admin else Census({}, {})
    store = await _store(ask.backends) if ask.caller.admin else {"buckets_count": 0, "total_objects": 0}
    oscar = _oscar(machine, census) | {"oidc": _oidc(ask.backends.settings)}
    return json_answer({"cluster": _cluster(machine), "oscar": oscar, "minio": store})


def _cluster(machine: Machine) -> dict[str, Any]:
    return {
        "nodes_count": 1,
        "metrics": {
            "cpu": {
                "total_free_cores": machine.cpu_free,
                "max_free_on_node_cores": machine.cpu_free,
                "total_schedulable_cores": machine.cpu_free,
                "total_schedulable_on_node_cores": machine.cpu_free,
            },
            "memory": {
                "total_free_bytes": machine.memory_free,
                "max_free_on_node_bytes": machine.memory_free,
                "total_schedulable_bytes": machine.memory_free,
                "max_schedulable_on_node_bytes": machine.memory_free,
            },
            "gpu": {"total_gpu": 0},
        },
        "nodes": [_node(machine)],
    }


def _node(machine: Machine) -> dict[str, Any]:
    return {
        "name": machine.name,
        "cpu": {
            "capacity_cores": machine.cpu,
            "usage_cores": machine.cpu - machine.cpu_free,
            "request_cores": 0,
        },
        "memory": {
            "capacity_bytes": machine.memory,
            "usage_bytes": machine.memory - machine.memory_free,
            "request_bytes": 0,
        },
        "gpu": 0,
        "is_interlink": False,
        "status": "Ready",
        "conditions": [{"type": "Ready", "status": True}],
    }


def _oscar(machine: Machine, census: Census) -> dict[str, Any]:
    states = Counter(dict.fromkeys(("Pending", "Running", "Succeeded", "Failed", "Unknown"), 0))
    for state, count in census.states.items():
        states[OSCAR_STATUS[state]] += count
    return {
        "deployment_name": "oscar",
        "ready": True,
        "deployment": {
            "available_replicas": 1,
            "ready_replicas": 1,
            "replicas": 1,
            "creation_timestamp": seconds(datetime.fromtimestamp(machine.gateway_since, UTC)),
            "strategy": "Recreate",
            "labels": {},
        },
        "jobs_count": states.total(),
        "pods": {"total": states.total(), "states": dict(states)},
    }


def _oidc(settings: Settings) -> dict[str, Any]:
    issuers = listed(settings.oidc_issuers)
    return {"enabled": bool(issuers), "issuers": list(issuers), "groups": list(listed(settings.oidc_groups))}


async def _store(backends: Backends) -> dict[str, int]:
    buckets = await backends.objects.buckets()
    listed = [await backends.objects.list(bucket.name, limit=COUNTED_OBJECTS) for bucket in buckets]
    return {"buckets_count": len(buckets), "total_objects": sum(len(one.objects) for one in listed)}
