"""`…/deployment`: whether a service can answer calls, and what its calls wrote to stderr."""

from typing import Any

from starlette.responses import Response

from gateway.actions.find_service import require_visible
from gateway.api.answers import json_answer, milliseconds, seconds
from gateway.api.operations import Ask
from gateway.api.query import flag, whole_number
from gateway.backends.connect import Backends
from gateway.domain.deployed import Deployed

TAIL_DEFAULT = 200
TAIL_LIMIT = 1000


async def status(ask: Ask) -> Response:
    deployed = await require_visible(ask.backends, ask.path["service"], ask.caller)
    shown = await deployment_of(ask.backends, deployed)
    return json_answer({"service_name": deployed.service.name, **shown})


async def log(ask: Ask) -> Response:
    deployed = await require_visible(ask.backends, ask.path["service"], ask.caller)
    tail = whole_number(ask.query, "tailLines", default=TAIL_DEFAULT, least=1, most=TAIL_LIMIT)
    found = await ask.backends.invoker.log(deployed, tail=tail)
    timed = flag(ask.query, "timestamps")
    answer: dict[str, Any] = {"service_name": deployed.service.name, "available": found.available}
    if found.message:
        answer["message"] = found.message
    answer["entries"] = [
        {"timestamp": milliseconds(line.at), "message": line.message}
        if timed and line.at is not None
        else {"message": line.message}
        for line in found.lines
    ]
    return json_answer(answer)


async def deployment_of(backends: Backends, deployed: Deployed) -> dict[str, Any]:
    """In OSCAR's words, which know no local form: `knative_service` is what it calls the kind that answers
    `/run`."""
    found = await backends.invoker.status(deployed)
    shown: dict[str, Any] = {"state": found.state}
    if found.reason:
        shown["reason"] = found.reason
    if found.last_transition_at is not None:
        shown["last_transition_time"] = seconds(found.last_transition_at)
    return shown | {
        "active_instances": found.active_instances,
        "affected_instances": found.affected_instances,
        "resource_kind": "knative_service",
    }
