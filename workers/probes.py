"""A worker's probes, a raw ASGI app: `/health` while it lives, `/ready` with what is missing. Loops that
break end the process, so that no answer is the answer."""

import json

from starlette.types import Receive, Scope, Send

from gateway.actions.check_parts import check_parts
from gateway.backends.connect import Backends


class Probes:
    def __init__(self, backends: Backends) -> None:
        self._backends = backends

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        match scope["path"]:
            case "/health":
                await _answer(send, 200, b"Ok", b"text/plain; charset=utf-8")
            case "/ready":
                missing = await check_parts(self._backends)
                told = {"ready": False, "not_ready": missing} if missing else {"ready": True}
                body = json.dumps(told, separators=(",", ":")).encode()
                await _answer(send, 503 if missing else 200, body, b"application/json")
            case _:
                await _answer(send, 404, b"page not found", b"text/plain; charset=utf-8")


async def _answer(send: Send, status: int, body: bytes, content_type: bytes) -> None:
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
