"""`/system/services`: deploy, read and remove services, as OSCAR's clients do."""

from typing import Any

from starlette.responses import Response

from gateway.actions.deploy_service import create_service, update_service
from gateway.actions.find_service import require_current, visible_services
from gateway.actions.remove_service import remove_service
from gateway.api.answers import empty_answer, json_answer
from gateway.api.deployments import deployment_of
from gateway.api.operations import Ask
from gateway.api.query import words
from gateway.backends.objects.protocol import Provider
from gateway.domain.deployed import Deployed
from gateway.domain.providers import MinioProvider
from gateway.domain.service import service_dict


async def create(ask: Ask) -> Response:
    await create_service(ask.backends, await ask.incoming.whole(), ask.caller)
    return empty_answer(201)


async def update(ask: Ask) -> Response:
    await update_service(ask.backends, await ask.incoming.whole(), ask.caller)
    return empty_answer(204)


async def list_all(ask: Ask) -> Response:
    return json_answer([await _represent(ask, one) for one in visible_services(ask.backends, ask.caller)])


async def read(ask: Ask) -> Response:
    deployed = await require_current(ask.backends, ask.path["service"], ask.caller)
    return json_answer(await _represent(ask, deployed))


async def remove(ask: Ask) -> Response:
    await remove_service(ask.backends, ask.path["service"], ask.caller)
    return empty_answer(204)


async def _represent(ask: Ask, deployed: Deployed) -> dict[str, Any]:
    """With `include=deployment` its state comes along."""
    shown = service_dict(deployed.service, store=_store(ask.backends.objects.provider))
    if "deployment" in words(ask.query, "include"):
        shown["deployment"] = await deployment_of(ask.backends, deployed)
    return shown


def _store(provider: Provider) -> MinioProvider:
    return MinioProvider(endpoint=provider.endpoint, verify=provider.verify, region=provider.region)
