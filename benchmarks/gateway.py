"""A gateway of the benchmark's own: embedded defaults, a temporary data folder, free ports."""

import asyncio
import base64
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

START_S = 20.0


@dataclass(frozen=True)
class Gateway:
    host: str
    port: int
    authorization: str
    pid: int = 0

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    async def connect(self) -> "Connection":
        return Connection(*await asyncio.open_connection(self.host, self.port), gateway=self)


@dataclass(frozen=True)
class Connection:
    """One kept-alive HTTP/1.1 connection: as little client as there can be, so that the server is what is
    measured."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    gateway: Gateway

    async def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {self.gateway.authorization}\r\n"
        self.writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = await self.reader.readuntil(b"\r\n\r\n")
        return int(answer[9:12]), await self._body(answer.lower())

    async def _body(self, head: bytes) -> bytes:
        if b"\r\ntransfer-encoding: chunked" in head:
            body = b""
            while size := int(await self.reader.readline(), 16):
                body += await self.reader.readexactly(size)
                await self.reader.readline()
            await self.reader.readline()
            return body
        _, _, length = head.partition(b"\r\ncontent-length:")
        return await self.reader.readexactly(int(length.partition(b"\r\n")[0] or 0))


@asynccontextmanager
async def gateway(core: int | str | None = None, /, **settings: str) -> AsyncIterator[Gateway]:
    """Started, on one core if it is named, and ready to be asked; stopped in order at the end."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        environment = {"PATH": os.environ["PATH"], "HTTP_PORT": "0", "S3_PORT": "0", "LOG_LEVEL": "warning"}
        kept = Path(settings.get("DATA_DIR", folder))
        (kept / "endpoints.json").unlink(missing_ok=True)
        process = await asyncio.create_subprocess_exec(
            *([] if core is None else ["taskset", "-c", str(core)]),
            sys.executable,
            "-m",
            "gateway",
            env={**environment, "DATA_DIR": folder, **settings},
            stdout=asyncio.subprocess.DEVNULL,
        )
        try:
            yield replace(await _endpoints(kept / "endpoints.json"), pid=process.pid)
        finally:
            process.terminate()
            await process.wait()


async def _endpoints(file: Path) -> Gateway:
    deadline = time.monotonic() + START_S
    while not file.exists():
        if time.monotonic() > deadline:
            raise SystemExit("the gateway did not start")
        await asyncio.sleep(0.005)
    told = json.loads(file.read_text())
    address = urlsplit(told["url"])
    basic = base64.b64encode(f"{told['username']}:{told['password']}".encode()).decode()
    return Gateway(str(address.hostname), int(address.port or 80), f"Basic {basic}")


async def deploy(connection: Connection, name: str, script: str, **more: object) -> None:
    body = json.dumps({"name": name, "image": "none", "script": script, **more}).encode()
    status, answer = await connection.request("POST", "/system/services", body)
    if status != 201:
        raise SystemExit(f"the service was not deployed: {answer.decode()}")
