"""The container engine as we need it: its library's calls, the streams the library would hold in memory, and
our problems for its errors. It knows nothing of runs."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiodocker import Docker, DockerError
from aiodocker.containers import DockerContainer

from gateway.domain.problems import Conflict, Invalid, NotFound, Problem, TooLarge, Unavailable

ANSWER_S = 30.0
"""For an answer that takes the engine no work."""
PULL_S = 1800.0
TRANSFER_S = 3600.0
"""For a workspace on its way in or out."""
FRAME_LIMIT = 1 << 20
"""The engine cuts lines at 16 KiB, bytes."""

UNREACHABLE = 900
"""The library's own status for an engine it cannot connect to."""
AWAY = "the container engine does not answer"

_NO_LIMIT = aiohttp.ClientTimeout(total=None)
"""The library's own default is five minutes; our limits are set where we wait."""


class Engine:
    """Made inside a running loop. Every method raises Unavailable when the engine is away or slow."""

    def __init__(self, url: str) -> None:
        self._docker = Docker(url=url, timeout=_NO_LIMIT)

    async def close(self) -> None:
        await self._docker.close()

    async def ping(self) -> None:
        async with _asking(ANSWER_S):
            await self._docker.version()

    async def log_drivers(self) -> list[str]:
        async with _asking(ANSWER_S):
            info = await self._docker.system.info()
            return list((info.get("Plugins") or {}).get("Log") or [])

    async def pull(self, image: str) -> None:
        """Raises Invalid when it cannot be had, in the engine's words."""
        async with _asking(PULL_S):
            try:
                await self._docker.images.pull(image)
            except DockerError as error:
                if error.status == UNREACHABLE:
                    raise
                raise Invalid(f"the image {image} cannot be had: {_words(error)}") from error

    async def create(self, name: str, config: dict[str, Any]) -> None:
        """Raises NotFound without the image, Conflict if the name is taken, Invalid."""
        async with _asking(ANSWER_S):
            await self._docker.containers.create(config, name=name)

    async def inspect(self, name: str) -> dict[str, Any]:
        """Raises NotFound."""
        async with _asking(ANSWER_S):
            return await self._container(name).show()

    async def start(self, name: str) -> None:
        """Raises Invalid for a command that cannot be started."""
        async with _asking(ANSWER_S):
            await self._container(name).start()

    async def kill(self, name: str, signal: str) -> None:
        """Fine if it ended."""
        try:
            async with _asking(ANSWER_S):
                await self._container(name).kill(signal=signal)
        except (Conflict, NotFound):
            pass

    async def wait(self, name: str, timeout_s: float) -> bool:
        """Whether it ended in that time. Raises NotFound."""
        try:
            async with asyncio.timeout(timeout_s):
                async with _asking(None):
                    await self._container(name).wait()
                return True
        except TimeoutError:
            return False

    async def remove(self, name: str) -> None:
        """Running or not. Fine if there is none."""
        try:
            async with _asking(ANSWER_S):
                await self._container(name).delete(force=True, v=True)
        except (Conflict, NotFound):
            pass

    async def labelled(self, labels: list[str]) -> list[str]:
        """Ids of all containers with these labels, running or not."""
        async with _asking(ANSWER_S):
            found = await self._docker.containers.list(all=True, filters={"label": labels})
            return [container.id for container in found]

    async def put_archive(self, name: str, archive: Path) -> None:
        """A tar, unpacked at the container's root."""
        with archive.open("rb") as file:
            async with _asking(TRANSFER_S):
                await self._container(name).put_archive("/", file)  # type: ignore[no-untyped-call]  # published without types

    async def get_archive(self, name: str, path: str, target: Path, *, limit_bytes: int) -> None:
        """A folder as a tar. Raises NotFound if it is not there, TooLarge."""
        size = 0
        with target.open("wb") as file:
            async for chunk in self._stream(f"containers/{name}/archive", {"path": path}):
                size += len(chunk)
                if size > limit_bytes:
                    raise TooLarge(
                        f"the script left more than {limit_bytes} bytes of output, which is the limit"
                    )
                await asyncio.to_thread(file.write, chunk)

    def logs(self, name: str) -> AsyncIterator[tuple[str, bytes, bytes]]:
        """What it printed: stream, time, text; a line each, or a piece of a long one."""
        wanted = {"stdout": "1", "stderr": "1", "timestamps": "1"}
        return read_frames(self._stream(f"containers/{name}/logs", wanted))

    def _container(self, name: str) -> DockerContainer:
        return self._docker.containers.container(name)

    async def _stream(self, path: str, query: dict[str, str]) -> AsyncIterator[bytes]:
        docker = self._docker
        await self.ping()
        url = f"{docker.docker_host}/{docker.api_version}/{path}"
        async with _asking(TRANSFER_S), docker.session.get(url, params=query) as response:
            if response.status >= 400:
                raise DockerError(response.status, (await response.text())[:500])
            async for chunk in response.content.iter_any():
                yield chunk


async def read_frames(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[str, bytes, bytes]]:
    """The engine's multiplexed log with times: stream, time, text. A torn end is left out. Raises Unavailable
    for anything else."""
    rest = b""
    async for chunk in chunks:
        rest += chunk
        while len(rest) >= 8:
            stream, size = struct.unpack(">BxxxL", rest[:8])
            if stream not in (1, 2) or size > FRAME_LIMIT:
                raise Unavailable("the container engine sent a log that cannot be read")
            if len(rest) < 8 + size:
                break
            at, _, text = rest[8 : 8 + size].partition(b" ")
            rest = rest[8 + size :]
            yield "stdout" if stream == 1 else "stderr", at, text


@asynccontextmanager
async def _asking(limit_s: float | None) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(limit_s):
            yield
    except DockerError as error:
        raise _problem(error) from error
    except (aiohttp.ClientError, OSError) as error:
        raise Unavailable(AWAY, retry_after_s=5) from error


def _problem(error: DockerError) -> Problem:
    """In the engine's words: they name the image or the command."""
    words = _words(error)
    match error.status:
        case status if status == UNREACHABLE:
            return Unavailable(AWAY, retry_after_s=5)
        case 400:
            return Invalid(words)
        case 404:
            return NotFound(words)
        case 409 | 304:
            return Conflict(words)
        case _:
            return Unavailable(f"the container engine: {words}", retry_after_s=5)


def _words(error: DockerError) -> str:
    return " ".join(str(error.message).split())[:300]
