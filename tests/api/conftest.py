"""One gateway for all tests of the API; each uses services and buckets of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from tests.api.gateway_rig import Gateway, open_gateway


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They share the gateway's loop too."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with _held(tmp_path_factory.mktemp("gateway"), working=True) as gateway:
        yield gateway


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def idle_gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """One whose jobs stay queued until a test claims them."""
    async with _held(tmp_path_factory.mktemp("idle"), working=False) as gateway:
        yield gateway


@asynccontextmanager
async def _held(folder: Path, *, working: bool) -> AsyncIterator[Gateway]:
    """In one task from its opening to its closing: a fixture's two halves run in two."""
    opened: asyncio.Future[Gateway] = asyncio.get_running_loop().create_future()
    close = asyncio.Event()

    async def hold() -> None:
        async with open_gateway(folder, working=working) as gateway:
            opened.set_result(gateway)
            await close.wait()

    holding = asyncio.create_task(hold())
    holding.add_done_callback(lambda _: opened.cancel())
    try:
        yield await opened
    except asyncio.CancelledError:
        await holding
        raise
    close.set()
    await holding
