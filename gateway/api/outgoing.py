"""What goes out on a connection: the answer to one request, its client's reading bounded."""

from collections.abc import Callable

from starlette.types import Message, Send

from gateway.api.incoming import IDLE_S, ClientGone
from gateway.api.within import within
from gateway.domain.headers import Headers


class Outgoing:
    """Adds the request's id to the answer and knows its status, 0 before it began."""

    __slots__ = ("_at_once", "_idle_s", "_request_id", "_send", "status")

    def __init__(
        self,
        send: Send,
        request_id: bytes,
        *,
        idle_s: float = IDLE_S,
        at_once: Callable[[int, Headers, bytes], bool] | None = None,
    ) -> None:
        """`at_once` is the server's way to take a whole answer, if it has one."""
        self.status = 0
        self._send = send
        self._request_id = request_id
        self._idle_s = idle_s
        self._at_once = at_once

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """All of it. Raises ClientGone."""
        if self._at_once is not None:
            self.status = status
            if self._at_once(status, [*headers, (b"x-request-id", self._request_id)], body):
                return
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    async def send(self, message: Message) -> None:
        """Raises ClientGone: a client that stops reading is as good as gone."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self._request_id)]
        try:
            await within(self._idle_s, self._send(message))
        except TimeoutError as error:
            raise ClientGone from error
