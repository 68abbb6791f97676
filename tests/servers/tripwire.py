"""A way to an HTTP server on which a chosen request never passes: something is done instead, as when a
process breaks on what it is about to fetch."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from socketserver import StreamRequestHandler, ThreadingTCPServer


class Tripwire:
    """`chosen` says by its head whether a request is one; `trip` is called for each."""

    def __init__(self, target: int, chosen: Callable[[bytes], bool]) -> None:
        self._chosen = chosen
        self.target, self.port = target, 0
        self.trip: Callable[[], None] = lambda: None

    def stops(self, chunk: bytes) -> bool:
        if not self._chosen(chunk.split(b"\r\n", 1)[0]):
            return False
        self.trip()
        return True


@contextmanager
def tripwire_to(
    target: int, chosen: Callable[[bytes], bool] = lambda _: False, *, port: int = 0
) -> Iterator[Tripwire]:
    """On `port`, 0: a free one. By default everything passes."""
    wire = Tripwire(target, chosen)

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", wire.target)) as server:
                back = threading.Thread(target=_pass, args=(server, self.connection), daemon=True)
                back.start()
                while (chunk := self.connection.recv(1 << 16)) and not wire.stops(chunk):
                    server.sendall(chunk)

    class Server(ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", port), Handler) as server:
        wire.port = server.server_address[1]
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        try:
            yield wire
        finally:
            server.shutdown()
            serving.join()


def _pass(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(1 << 16):
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_RDWR)
