"""Staging in: an attempt's input into its workspace, and what the script is told about it. Also done in a
pod, at its start, so it imports little."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

from gateway.backends.launcher.store import Store
from gateway.domain.event import StoredObject
from gateway.domain.job import Payload
from gateway.domain.problems import Invalid
from gateway.domain.work_order import Work
from gateway.staging.chunks import write_file
from gateway.staging.disk import disk_problems
from gateway.staging.environment import Occasion
from gateway.staging.input_name import input_name
from gateway.staging.payload import stage_body
from gateway.staging.workspace import Workspace


async def stage_in(store: Store, own_bucket: str, work: Work, workspace: Workspace) -> Occasion:
    """The occasion, its `input_file` a name in the workspace's input folder. Raises NotFound when the input
    is gone, Unavailable, StorageFull."""
    if work.stored is not None:
        name = await _stage_object(store, work, work.stored, workspace)
        return occasion_of(work, name)
    if work.payload is None:
        raise Invalid(f"the job {work.job} has nothing to work on")
    await write_file(workspace.body, _payload(store, own_bucket, work.payload))
    with disk_problems("decoding the payload"):
        name = await asyncio.to_thread(stage_body, workspace)
    return occasion_of(work, name)


def occasion_of(work: Work, input_file: str) -> Occasion:
    """What the script is told."""
    if work.stored is not None:
        key, at = work.stored.key, work.stored.modified_at
        return Occasion(input_file, job=work.job, event=work.notice, object_key=key, event_at=at)
    return Occasion(input_file, job=work.job, event=work.payload.inline if work.payload else None)


async def _stage_object(store: Store, work: Work, stored: StoredObject, workspace: Workspace) -> str:
    """A service that fetches its files itself (`file_stage_in`) has the notice for an input."""
    if work.file_stage_in:
        name = f"event-file-{uuid4()}"
        await write_file(workspace.input_dir / name, _once(work.notice or b""))
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
