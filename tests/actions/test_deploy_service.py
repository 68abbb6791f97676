"""Deploying succeeds as a whole or fails as a whole."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.actions.deploy_service import create_service, update_service
from gateway.backends.connect import Backends
from gateway.backends.identity.protocol import Caller
from gateway.backends.objects.protocol import OWN_BUCKET
from gateway.domain.deployed import Deployed
from gateway.domain.problems import Invalid, NotFound, StorageFull
from tests.api.gateway_rig import Gateway

ADMIN = Caller("cluster_admin", admin=True)
RULES = b'"input": [{"storage_provider": "minio", "path": "made-first/in"}]'


class FullRegistry:
    """A registry whose disk is full: everything but writing works."""

    def __init__(self, registry: Any) -> None:
        self._registry = registry

    def __getattr__(self, name: str) -> Any:
        return getattr(self._registry, name)

    async def create(self, deployed: Deployed) -> None:
        raise StorageFull("no space left to keep services")

    async def replace(self, deployed: Deployed, *, previous: Deployed) -> None:
        raise StorageFull("no space left to keep services")


def with_full_registry(backends: Backends) -> Backends:
    return replace(backends, registry=FullRegistry(backends.registry))


async def test_a_service_that_cannot_be_kept_leaves_no_bucket_behind(idle: Gateway) -> None:
    raw = b'{"name": "half", "image": "x", "script": "true", %s}' % RULES
    with pytest.raises(StorageFull):
        await create_service(with_full_registry(idle.backends), raw, ADMIN)
    assert idle.backends.registry.get("half") is None
    with pytest.raises(NotFound):
        await idle.backends.objects.bucket("made-first")


async def test_a_bucket_that_was_there_survives_a_failed_deployment(idle: Gateway) -> None:
    await idle.backends.objects.make_bucket("made-first", tags={"owner": "somebody"})
    raw = b'{"name": "half", "image": "x", "script": "true", %s}' % RULES
    with pytest.raises(StorageFull):
        await create_service(with_full_registry(idle.backends), raw, ADMIN)
    assert (await idle.backends.objects.bucket("made-first")).tags == {"owner": "somebody"}


async def test_an_update_that_cannot_be_kept_changes_nothing(idle: Gateway) -> None:
    before = await create_service(
        idle.backends, b'{"name": "kept", "image": "x", "script": "echo old"}', ADMIN
    )
    raw = b'{"name": "kept", "image": "x", "script": "echo new", %s}' % RULES
    with pytest.raises(StorageFull):
        await update_service(with_full_registry(idle.backends), raw, ADMIN)
    assert idle.backends.registry.get("kept") == before
    with pytest.raises(NotFound):
        await idle.backends.objects.bucket("made-first")


async def test_the_gateways_own_bucket_is_refused(idle: Gateway) -> None:
    rules = b'"output": [{"storage_provider": "minio", "path": "%s/results"}]' % OWN_BUCKET.encode()
    with pytest.raises(Invalid):
        await create_service(
            idle.backends, b'{"name": "thief", "image": "x", "script": "true", %s}' % rules, ADMIN
        )
