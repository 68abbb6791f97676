"""Staging in: an order's input into its workspace, and what the script is told about it."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

from gateway.backends.launcher.protocol import Order
from gateway.backends.launcher.store import Store
from gateway.domain.event import StoredObject
from gateway.domain.job import Payload
from gateway.domain.problems import Invalid
from gateway.staging.chunks import write_file
from gateway.staging.disk import disk_problems
from gateway.staging.environment import Occasion
from gateway.staging.input_name import input_name
from gateway.staging.payload import stage_body
from gateway.staging.workspace import Workspace


async def stage_in(store: Store, own_bucket: str, order: Order, workspace: Workspace) -> Occasion:
    """The occasion, its `input_file` a name in the workspace's input folder. Raises NotFound when the input
    is gone, Unavailable, StorageFull."""
    job = order.job
    if job.stored is not None:
        name = await _stage_object(store, order, job.stored, workspace)
        return Occasion(
            name, job=job.id, event=job.notice, object_key=job.stored.key, event_at=job.stored.modified_at
        )
    if job.payload is None:
        raise Invalid(f"the job {job.id} has nothing to work on")
    await write_file(workspace.body, _payload(store, own_bucket, job.payload))
    with disk_problems("decoding the payload"):
        name = await asyncio.to_thread(stage_body, workspace)
    return Occasion(name, job=job.id, event=job.payload.inline)


async def _stage_object(store: Store, order: Order, stored: StoredObject, workspace: Workspace) -> str:
    """A service that fetches its files itself (`file_stage_in`) has the notice for an input."""
    if order.deployed.service.file_stage_in:
        name = f"event-file-{uuid4()}"
        await write_file(workspace.input_dir / name, _once(order.job.notice or b""))
    else:
        name = input_name(stored.key)
        await write_file(workspace.input_dir / name, store.read(stored.bucket, stored.key))
    return name


def _payload(store: Store, own_bucket: str, payload: Payload) -> AsyncIterator[bytes]:
    if payload.key is not None:
        return store.read(own_bucket, payload.key)
    if payload.inline is None:
        raise Invalid("the order came without its payload")
    return _once(payload.inline)


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
