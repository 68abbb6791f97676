"""The registry as a folder: a private YAML file a service, all of them in memory.

A shared folder is looked at every second, so that several processes on it see each other's services that
soon; writers of all processes take turns. Files that cannot be read are reported and left alone.
"""

import asyncio
import errno
import fcntl
import os
import threading
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
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
SUFFIX = ".yaml"
LOOK_EVERY_S = 1.0
LEFTOVER_S = 3600.0
"""A temporary file this old is nobody's any more."""

Stamp = tuple[int, int, int]
"""Inode, time of change in ns, bytes."""

log = structlog.get_logger()


@asynccontextmanager
async def open_directory(folder: Path, *, shared: bool = False) -> AsyncIterator["DirectoryRegistry"]:
    """The registry of a folder, which is made if need be. Raises Unavailable, StorageFull."""
    registry = DirectoryRegistry(folder, shared=shared)
    await asyncio.to_thread(registry.load)
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(registry.follow()) if shared else None
        yield registry
        if following is not None:
            following.cancel()


class DirectoryRegistry:
    """Readers see `_services`, which is replaced and never changed.

    Writers take turns in threads, where the disk is waited for: a caller who stops waiting cannot part folder
    and memory.
    """

    def __init__(self, folder: Path, *, shared: bool) -> None:
        self._folder = folder
        self._shared = shared
        self._services: dict[str, Deployed] = {}
        self._stamps: dict[str, Stamp] = {}
        self._unreadable = 0
        self._generation = 0
        self._turn = threading.Lock()

    def load(self) -> None:
        """Blocking. All there is, and nothing that killed writers left. Raises Unavailable, StorageFull."""
        with _problems():
            make_folder(self._folder)
            _remove_leftovers(self._folder)
            self._catch_up()

    async def follow(self) -> None:
        """For ever: what other processes wrote. A folder that is away for a while changes nothing."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await asyncio.to_thread(self._look)
            except Unavailable as problem:
                log.warning("services.not_read", why=problem.detail)

    def get(self, name: str) -> Deployed | None:
        return self._services.get(name)

    def all(self) -> Iterable[Deployed]:
        return self._services.values()

    def generation(self) -> int:
        return self._generation

    def unreadable(self) -> int:
        return self._unreadable

    async def look_up(self, name: str) -> Deployed | None:
        if self._shared:
            await asyncio.to_thread(self._look)
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
        with self._alone():
            try:
                create_file(self._file(name), record_bytes(deployed))
            except FileExistsError as error:
                raise Conflict(f"there is a service {name} already") from error
            self._catch_up()

    def _replace(self, deployed: Deployed, previous: Deployed) -> None:
        name = deployed.service.name
        with self._alone():
            current = self._current(name)
            if (current.uid, current.updated_at) != (previous.uid, previous.updated_at):
                raise Conflict(f"the service {name} was changed by somebody else meanwhile")
            replace_file(self._file(name), record_bytes(deployed))
            self._catch_up()

    def _remove(self, name: str) -> None:
        with self._alone():
            self._current(name)
            remove_file(self._file(name))
            self._catch_up()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other writer meanwhile, of this process or another, and knowing what they wrote."""
        with self._turn, _problems():
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(folder, fcntl.LOCK_EX)
                self._catch_up()
                yield
            finally:
                os.close(folder)

    def _look(self) -> None:
        with self._turn, _problems():
            self._catch_up()

    def _catch_up(self) -> None:
        """Read what changed in the folder since the last time, and show it."""
        stamps = _stamps(self._folder)
        if stamps == self._stamps:
            return
        services = {name: service for name, service in self._services.items() if name in stamps}
        for name, stamp in stamps.items():
            if stamp != self._stamps.get(name):
                services.pop(name, None)
                deployed = _read(self._file(name))
                if deployed is not None:
                    services[name] = deployed
        self._stamps = stamps
        self._unreadable = len(stamps) - len(services)
        self._show(services)

    def _current(self, name: str) -> Deployed:
        current = self._services.get(name)
        if current is None:
            raise NotFound(f"there is no service {name}")
        return current

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}{SUFFIX}"

    def _show(self, services: dict[str, Deployed]) -> None:
        # In this order: who sees the new number sees the new services.
        self._services = dict(sorted(services.items()))
        self._generation += 1


def _stamps(folder: Path) -> dict[str, Stamp]:
    """What tells a file from the one that was in its place before, by the service's name."""
    found: dict[str, Stamp] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIX):
                # Not the entry's own: a file may be gone, or be another one, by now.
                try:
                    status = (folder / entry.name).stat()
                except FileNotFoundError:
                    continue
                found[entry.name.removesuffix(SUFFIX)] = (status.st_ino, status.st_mtime_ns, status.st_size)
    return found


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
