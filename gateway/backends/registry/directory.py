"""The registry as a folder: a private YAML file a service, all of them in memory.

Gives up hearing of others: what another process writes into the folder is seen at the next start, though no
creation overwrites it. Files that cannot be read are reported and left alone.
"""

import asyncio
import errno
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from gateway.backends.registry.record import RecordError, parse_record, record_bytes
from gateway.domain.deployed import Deployed
from gateway.domain.problems import Conflict, NotFound, StorageFull, Unavailable
from gateway.private_file import (
    TEMPORARY,
    create_file,
    make_folder,
    remove_file,
    replace_file,
)

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
LEFTOVER_S = 3600.0
"""A temporary file this old is nobody's any more."""

log = structlog.get_logger()


async def load_directory(folder: Path) -> "DirectoryRegistry":
    """The registry of a folder, which is made if need be. Raises Unavailable, StorageFull."""
    services, unreadable = await asyncio.to_thread(_load, folder)
    return DirectoryRegistry(folder, services, unreadable=unreadable)


class DirectoryRegistry:
    """Readers see `_services`, which is replaced and never changed.

    Writers take turns in threads, where the disk is waited for: a caller who stops waiting cannot part folder
    and memory.
    """

    def __init__(self, folder: Path, services: dict[str, Deployed], *, unreadable: int) -> None:
        self._folder = folder
        self._unreadable = unreadable
        self._services = dict(sorted(services.items()))
        self._generation = 0
        self._turn = threading.Lock()

    def get(self, name: str) -> Deployed | None:
        return self._services.get(name)

    def all(self) -> Iterable[Deployed]:
        return self._services.values()

    def generation(self) -> int:
        return self._generation

    def unreadable(self) -> int:
        return self._unreadable

    async def look_up(self, name: str) -> Deployed | None:
        return self.get(name)

    async def ready(self) -> None:
        """Memory is all that readers need."""

    async def create(self, deployed: Deployed) -> None:
        await asyncio.to_thread(self._create, deployed)

    async def replace(self, deployed: Deployed, *, previous: Deployed) -> None:
        if deployed.service.name != previous.service.name:
            raise ValueError("a service keeps its name")
        await asyncio.to_thread(self._replace, deployed, previous)

    async def remove(self, name: str) -> None:
        await asyncio.to_thread(self._remove, name)

    def _create(self, deployed: Deployed) -> None:
        name = deployed.service.name
        with self._turn, _problems():
            try:
                create_file(self._file(name), record_bytes(deployed))
            except FileExistsError as error:
                raise Conflict(f"there is a service {name} already") from error
            self._show({**self._services, name: deployed})

    def _replace(self, deployed: Deployed, previous: Deployed) -> None:
        name = deployed.service.name
        with self._turn, _problems():
            current = self._current(name)
            if (current.uid, current.updated_at) != (previous.uid, previous.updated_at):
                raise Conflict(f"the service {name} was changed by somebody else meanwhile")
            replace_file(self._file(name), record_bytes(deployed))
            self._show({**self._services, name: deployed})

    def _remove(self, name: str) -> None:
        with self._turn, _problems():
            self._current(name)
            remove_file(self._file(name))
            self._show({other: service for other, service in self._services.items() if other != name})

    def _current(self, name: str) -> Deployed:
        current = self._services.get(name)
        if current is None:
            raise NotFound(f"there is no service {name}")
        return current

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.yaml"

    def _show(self, services: dict[str, Deployed]) -> None:
        # In this order: who sees the new number sees the new services.
        self._services = dict(sorted(services.items()))
        self._generation += 1


def _load(folder: Path) -> tuple[dict[str, Deployed], int]:
    """The services, and how many files cannot be read."""
    with _problems():
        make_folder(folder)
        _remove_leftovers(folder)
        found = [_read(path) for path in sorted(folder.glob("*.yaml"))]
        services = {deployed.service.name: deployed for deployed in found if deployed}
        return services, found.count(None)


def _read(path: Path) -> Deployed | None:
    try:
        deployed = parse_record(path.read_bytes())
        if path.stem != deployed.service.name:
            raise RecordError("the service in it has another name")
    except (RecordError, OSError) as error:
        log.error("service.unreadable", file=path.name, why=str(error))
        return None
    return deployed


def _remove_leftovers(folder: Path) -> None:
    """Of writers that were killed: they hold secrets, and nobody would look for them."""
    for path in folder.glob(f"*{TEMPORARY}"):
        if time.time() - path.stat().st_mtime > LEFTOVER_S:
            path.unlink(missing_ok=True)


@contextmanager
def _problems() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise StorageFull("there is no space left to keep services", retry_after_s=1) from error
        raise Unavailable("the folder of services is not available", retry_after_s=1) from error
