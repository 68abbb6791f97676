"""The embedded store behind its S3 face, served on a free port by a thread of its own, for real clients."""

import asyncio
import json
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
import uvicorn
from botocore.config import Config

from gateway.backends.objects.embedded.face.app import build_face
from gateway.backends.objects.embedded.store import open_embedded
from gateway.backends.objects.protocol import Provider
from gateway.domain.event import StoredObject

OBJECT_LIMIT = 21 << 20


@dataclass
class Served:
    """A running face. `notices` are what the listener was told, oldest first; `listener` may be replaced."""

    provider: Provider
    folder: Path
    notices: list[tuple[StoredObject, dict[str, Any]]] = field(default_factory=list)

    @property
    def host(self) -> str:
        return self.provider.endpoint.removeprefix("http://")

    def blobs(self) -> int:
        """How many files hold bytes."""
        return sum(1 for path in (self.folder / "blobs").glob("*/*"))

    async def listen(self, stored: StoredObject, raw: bytes) -> None:
        if "refused-notice" in stored.key:
            raise RuntimeError("the listener broke")
        self.notices.append((stored, json.loads(raw)))


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    # The protocol must be named: asyncio switches Nagle's delay off only where it sees TCP.
    with socket.socket(proto=socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{listening.getsockname()[1]}"
        provider = Provider(endpoint, False, "us-east-1", "test-access", secrets.token_urlsafe(30))
        face = Served(provider, tmp_path_factory.mktemp("objects"))
        with FaceThread(face, listening):
            yield face


class FaceThread:
    """The thread: started and ready, and stopped in order."""

    def __init__(self, face: Served, listening: socket.socket) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(face, listening)))

    def __enter__(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        assert not self._thread.is_alive()

    async def _serve(self, face: Served, listening: socket.socket) -> None:
        async with open_embedded(
            face.folder, face.provider, object_limit=OBJECT_LIMIT, listener=face.listen
        ) as store:
            app = build_face(store, origins=("https://pages.example",))
            config = uvicorn.Config(app, http="httptools", lifespan="off", log_config=None)
            self._server = uvicorn.Server(config)
            listening.listen(128)
            self._ready.set()
            await self._server.serve(sockets=[listening])


@pytest.fixture(scope="session")
def http() -> Iterator[httpx.Client]:
    """One for all: each takes its time to read certificates nobody needs here."""
    with httpx.Client(verify=False) as client:
        yield client


@pytest.fixture(scope="session")
def connect(served: Served) -> Callable[..., Any]:
    """A boto3 client of the face, with other credentials or another configuration if wanted."""

    def client(*, secret_key: str = served.provider.secret_key, access_key: str = "", **options: Any) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=served.provider.endpoint,
            region_name="us-east-1",
            aws_access_key_id=access_key or served.provider.access_key,
            aws_secret_access_key=secret_key,
            config=Config(signature_version="s3v4", retries={"max_attempts": 0}, **options),
        )

    return client


@pytest.fixture(scope="session")
def s3(connect: Callable[..., Any]) -> Any:
    return connect()


@pytest.fixture
def bucket(s3: Any) -> str:
    """A new bucket of this test."""
    name = f"test-{secrets.token_hex(6)}"
    s3.create_bucket(Bucket=name)
    return name
