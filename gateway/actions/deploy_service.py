"""Deploy a service: create or update it, as a whole or not at all.

What may fail comes first and is undone on failure; writing the registry is the one step that makes it so.
"""

import secrets
from contextlib import AsyncExitStack
from dataclasses import replace

import structlog

from gateway.actions.allow_images import require_allowed_image
from gateway.actions.find_service import require_owned
from gateway.actions.watch_buckets import watch_buckets
from gateway.backends.connect import Backends
from gateway.backends.identity.protocol import Caller
from gateway.backends.objects.protocol import OWN_BUCKET
from gateway.domain.deployed import Deployed
from gateway.domain.matching import buckets_of, input_buckets
from gateway.domain.problems import Conflict, Invalid
from gateway.domain.service import Service, complete, parse_service

log = structlog.get_logger(__name__)


async def create_service(backends: Backends, raw: bytes, caller: Caller) -> Deployed:
    """From the body of a request. Raises Invalid, Conflict if the name is taken, Unavailable, StorageFull."""
    requested = parse_service(raw)
    await require_allowed_image(backends, requested.image)
    if await backends.registry.look_up(requested.name) is not None:
        raise _taken(requested.name)
    service = complete(requested, token=secrets.token_hex(32), owner=caller.name)
    now = backends.now()
    deployed = Deployed(
        service=service,
        uid=secrets.token_hex(8),
        created_at=now,
        updated_at=now,
        inputs_since={rule.path: now for rule in service.input},
    )
    async with AsyncExitStack() as undo:
        await _prepare(backends, deployed, undo)
        undo.push_async_callback(backends.invoker.retire, service.name)
        await backends.registry.create(deployed)
        undo.pop_all()
    await watch_buckets(backends, only=input_buckets(service))
    log.info("service.deployed", service=service.name, owner=service.owner)
    return deployed


async def update_service(backends: Backends, raw: bytes, caller: Caller) -> Deployed:
    """A full definition, not a patch; token, owner and unmentioned secrets stay. Raises as
    `create_service`, NotFound, Forbidden."""
    requested = parse_service(raw)
    await require_allowed_image(backends, requested.image)
    previous = await require_owned(backends, requested.name, caller)
    service = complete(
        requested, token=previous.service.token, owner=previous.service.owner, previous=previous.service
    )
    now = backends.now()
    since = {rule.path: previous.inputs_since.get(rule.path, now) for rule in service.input}
    deployed = replace(previous, service=service, updated_at=now, inputs_since=since)
    async with AsyncExitStack() as undo:
        undo.push_async_callback(backends.invoker.prepare, previous)
        await _prepare(backends, deployed, undo)
        await backends.registry.replace(deployed, previous=previous)
        undo.pop_all()
    await watch_buckets(backends, only=input_buckets(previous.service) | input_buckets(service))
    log.info("service.updated", service=service.name, owner=service.owner)
    return deployed


async def _prepare(backends: Backends, deployed: Deployed, undo: AsyncExitStack) -> None:
    service = deployed.service
    for bucket in buckets_of(service):
        if bucket == OWN_BUCKET:
            raise Invalid(f"the bucket {bucket!r} is the gateway's own", field="path")
        if await backends.objects.make_bucket(bucket, tags=_tags(service)):
            undo.push_async_callback(backends.objects.remove_bucket, bucket)
    await backends.invoker.prepare(deployed)


def _tags(service: Service) -> dict[str, str]:
    """OSCAR's marks on a bucket: whose it is, and which service it was made for."""
    return {
        "owner": service.owner,
        "owner_name": service.owner,
        "from_service": service.name,
        "visibility": service.visibility,
        "allowed_users": " ".join(service.allowed_users),
    }


def _taken(name: str) -> Conflict:
    return Conflict(f"A service with the name {name!r} exists already", field="name")
