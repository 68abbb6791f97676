"""A gateway inside the test's process: the app over real embedded backends in a folder of its own, and the
worker's loops."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
from starlette.types import ASGIApp, Message

from gateway.actions.accept_events import accept_objects
from gateway.api.app import build_app
from gateway.backends.connect import Backends, open_backends
from gateway.backends.objects.protocol import Listener
from gateway.credentials import with_credentials
from gateway.domain.event import StoredObject
from gateway.domain.job import Cause
from gateway.settings import Settings
from tests.ledger.template import lay_empty_ledger
from workers.loops import work

T = TypeVar("T")

EVENTS_TOKEN = "the token of the store's webhook"


async def eventually(answer: Callable[[], Awaitable[T]], *, within_s: float = 10.0) -> T:
    """The first true answer; TimeoutError when there was none in time."""
    async with asyncio.timeout(within_s):
        while True:
            if found := await answer():
                return found
            await asyncio.sleep(0.02)


@dataclass
class Gateway:
    """`http` has the administrator's credential, `bare` none; `store` asks the embedded store's own face."""

    backends: Backends
    app: ASGIApp
    http: httpx.AsyncClient
    bare: httpx.AsyncClient
    store: httpx.AsyncClient
    listen: Callable[[Listener], None]

    def silence(self) -> None:
        """No notice of the store arrives any more."""

        async def lost(_stored: StoredObject, _notice: bytes) -> None:
            return

        self.listen(lost)

    async def deploy(self, name: str, script: str = "cat $INPUT_FILE_PATH", **more: Any) -> str:
        """A service; its token."""
        definition = {"name": name, "image": "example.org/none", "script": script, **more}
        answer = await self.http.post("/system/services", json=definition)
        assert (answer.status_code, answer.text) == (201, ""), (answer.status_code, answer.text)
        token: str = (await self.http.get(f"/system/services/{name}")).json()["token"]
        return token

    async def submit(self, service: str, body: bytes = b"", **headers: str) -> str:
        """A job; its id."""
        answer = await self.http.post(f"/job/{service}", content=body, headers=headers)
        assert (answer.status_code, answer.content) == (201, b""), answer.text
        return answer.headers["X-OSCAR-Job-ID"]

    async def job(self, job: str) -> dict[str, Any]:
        """Once it has ended."""
        answer = await self.http.get(f"/v1/jobs/{job}", headers={"Prefer": "wait=10"})
        shown: dict[str, Any] = answer.json()
        assert shown["state"] in ("succeeded", "failed", "dead", "cancelled"), shown
        return shown

    async def in_state(self, job: str, state: str) -> dict[str, Any]:
        async def there() -> dict[str, Any] | None:
            shown: dict[str, Any] = (await self.http.get(f"/v1/jobs/{job}")).json()
            return shown if shown["state"] == state else None

        found = await eventually(there)
        assert found is not None
        return found


@asynccontextmanager
async def open_gateway(data_dir: Path, *, working: bool = True, **settings: Any) -> AsyncIterator[Gateway]:
    """With `working` its jobs are done, else they stay queued."""
    given = {"data_dir": data_dir, "http_port": 0, "s3_port": 0, "events_token": EVENTS_TOKEN, **settings}
    if "database_url" not in settings:
        lay_empty_ledger(data_dir)
    read = with_credentials(Settings.model_validate(given))
    async with open_backends(read) as (backends, face), asyncio.TaskGroup() as tasks:
        assert face is not None

        async def accept(stored: StoredObject, notice: bytes) -> None:
            await accept_objects(backends, [(stored, notice)], cause=Cause.EVENT)

        face.listen(accept)
        app = build_app(backends)
        loops = tasks.create_task(work(backends)) if working else None
        auth = (read.oscar_username, read.oscar_password)
        async with client(app, auth=auth) as http, client(app) as bare, client(face.app) as store:
            yield Gateway(backends, app, http, bare, store, face.listen)
        if loops is not None:
            loops.cancel()


def client(app: ASGIApp, **options: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=("10.0.0.7", 4711))
    return httpx.AsyncClient(transport=transport, base_url="http://gateway", timeout=20, **options)


def scope(gateway: Gateway, path: str) -> dict[str, Any]:
    """Of a POST, as a server hands it over, with the administrator's credential."""
    settings = gateway.backends.settings
    credential = base64.b64encode(f"{settings.oscar_username}:{settings.oscar_password}".encode())
    return {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": [(b"authorization", b"Basic " + credential)],
        "client": ("10.0.0.7", 4711),
    }


async def leave_once(gateway: Gateway, asking: dict[str, Any], begun: Path) -> list[Message]:
    """Ask as a client that hangs up once a file is there; what it was sent."""
    bodies = [b""]
    sent: list[Message] = []

    async def receive() -> Message:
        if bodies:
            return {"type": "http.request", "body": bodies.pop(), "more_body": False}
        await eventually(lambda: exists(begun))
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await gateway.app(asking, receive, send)
    return sent


async def exists(path: Path) -> bool:
    return path.exists()
