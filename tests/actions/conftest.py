"""A gateway of each test's own, with its queue and ledger in reach."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.api.gateway_rig import Gateway, open_gateway


@pytest_asyncio.fixture
async def idle(tmp_path: Path) -> AsyncIterator[Gateway]:
    """Nobody works on its jobs."""
    async with open_gateway(tmp_path, working=False) as gateway:
        yield gateway


@pytest_asyncio.fixture
async def busy(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with open_gateway(tmp_path) as gateway:
        yield gateway
