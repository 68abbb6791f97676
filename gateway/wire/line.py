"""A line: the transport of a connection, with what has to wait on it."""

import asyncio


class Line:
    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.queued = False
        """Requests wait behind the one that is answered: no more are to be read."""
        self.writable: asyncio.Future[None] | None = None
        """Done when the client takes bytes again; None while it does."""
        self._reading = True

    async def drain(self) -> None:
        """Returns when the client takes bytes, or is gone."""
        while self.writable is not None:
            # Shielded: others may wait for it too.
            await asyncio.shield(self.writable)

    def pause_reading(self) -> None:
        if self._reading and not self.transport.is_closing():
            self._reading = False
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._reading and not self.transport.is_closing():
            self._reading = True
            self.transport.resume_reading()

    def pause_writing(self) -> None:
        self.writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        writable, self.writable = self.writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)
