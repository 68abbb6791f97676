"""A real container engine for tests, where there is one (`DOCKER_URL`, or the usual socket), with an image of
our own making: busybox alone, imported, nothing pulled."""

import io
import os
import shutil
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiodocker import Docker

from gateway.domain.problems import Unavailable
from gateway.executors.docker import DockerExecutor
from gateway.executors.engine import Engine

IMAGE = "oscar-gateway-tests:busybox"
PROGRAMS = "sh cat cp echo env false head id ls ln mkdir mkfifo seq sleep touch tr yes"
URL = os.environ.get("DOCKER_URL") or "unix:///var/run/docker.sock"


@asynccontextmanager
async def open_engine(
    *, log_limit: int, grace_s: float = 1.0, output_limit: int = 1 << 30, home: str = "tests"
) -> AsyncIterator[DockerExecutor]:
    """Skips the test where no engine answers; in CI it fails."""
    engine = Engine(URL)
    try:
        await engine.ping()
    except Unavailable:
        await engine.close()
        if os.environ.get("CI") and os.environ.get("DOCKER_URL"):
            raise
        pytest.skip("no container engine answers")
    await make_image(IMAGE)
    executor = DockerExecutor(
        engine, home=home, log_limit=log_limit, output_limit=output_limit, grace_s=grace_s
    )
    yield executor
    await executor.close()


async def make_image(reference: str, *, shell: bool = True, changes: list[str] | None = None) -> None:
    """Imported from a file system of our own making, with `changes` as in a Dockerfile; once for each
    reference."""
    async with Docker(url=URL) as docker:
        if any(reference in (image["RepoTags"] or []) for image in await docker.images.list()):
            return
        name, tag = reference.split(":")
        query = [("fromSrc", "-"), ("repo", name), ("tag", tag), *(("changes", one) for one in changes or [])]
        url = f"{docker.docker_host}/{docker.api_version}/images/create"
        async with docker.session.post(url, params=query, data=_file_system(shell=shell)) as response:
            assert response.status == 200, await response.text()
            await response.read()


def _file_system(*, shell: bool) -> io.BytesIO:
    """A static busybox under the names the tests call, or nothing but a folder."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for folder, mode in (("bin", 0o755), ("tmp", 0o1777)):
            member = tarfile.TarInfo(folder)
            member.type, member.mode = tarfile.DIRTYPE, mode
            archive.addfile(member)
        if shell:
            _add_busybox(archive)
    tar.seek(0)
    return tar


def _add_busybox(archive: tarfile.TarFile) -> None:
    found = shutil.which("busybox")
    if found is None:
        pytest.skip("the image needs a static busybox")
    content = Path(found).read_bytes()
    program = tarfile.TarInfo("bin/busybox")
    program.size, program.mode = len(content), 0o755
    archive.addfile(program, io.BytesIO(content))
    for name in PROGRAMS.split():
        link = tarfile.TarInfo(f"bin/{name}")
        link.type, link.linkname = tarfile.SYMTYPE, "busybox"
        archive.addfile(link)
