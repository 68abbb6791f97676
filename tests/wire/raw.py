"""A client that writes bytes as a test has them, and a backend behind the gateway's process that keeps what
it is asked."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

PATIENCE_S = 10.0


@dataclass
class Asked:
    """What came to the backend, in order; `cut` counts connections that ended amid a body."""

    bodies: list[bytes] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    cut: int = 0
    started: threading.Event = field(default_factory=threading.Event)
    closed: threading.Event = field(default_factory=threading.Event)


class Handler(socketserver.StreamRequestHandler):
    """A connection to the backend."""

    server: "Backend"

    def handle(self) -> None:
        asked = self.server.asked
        try:
            while self._one(asked):
                pass
        except (ConnectionError, ValueError):
            asked.cut += 1
        asked.closed.set()

    def _one(self, asked: Asked) -> bool:
        lines = []
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            lines.append(line.decode("latin-1").strip())
        if not lines:
            return False
        asked.heads.append("\n".join(lines).lower())
        asked.started.set()
        asked.bodies.append(self._body(asked.heads[-1]))
        return self._answer(lines[0].split(" ")[1], asked.bodies[-1])

    def _body(self, head: str) -> bytes:
        if "transfer-encoding: chunked" not in head:
            return self._exactly(int(head.partition("content-length: ")[2].partition("\n")[0] or 0))
        whole = b""
        while size := int(self.rfile.readline(), 16):
            whole += self._exactly(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def _exactly(self, length: int) -> bytes:
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionError
        return body

    def _answer(self, target: str, body: bytes) -> bool:
        """Whether the connection stays."""
        if "wait" in target:
            self.rfile.read(1)
            return False
        if "drip" in target:
            return self._drip(float(target.partition("drip=")[2]))
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(body)
        if "die=" in target:
            died_at = {"before": b"", "head": head[:20], "body": head + body[:3]}
            self.wfile.write(died_at[target.partition("die=")[2]])
            return False
        self.wfile.write(head + body)
        return True

    def _drip(self, every_s: float) -> bool:
        """A first piece of an answer, and further ones until nobody takes them."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\npiece\r\n")
        self.connection.settimeout(every_s)
        while True:
            try:
                self.rfile.read(1)
            except TimeoutError:
                # What a timeout interrupted cannot be read again.
                self.rfile = self.connection.makefile("rb")
                self.wfile.write(b"5\r\npiece\r\n")
            else:
                return False


class Backend(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, asked: Asked) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = asked


@contextmanager
def backend() -> Iterator[tuple[str, Asked]]:
    """Its URL. It answers by the query: `die=before|head|body` ends the connection there, `wait` answers
    nothing until the connection ends, `drip=N` a piece every N seconds until it ends; else it sends the body
    back."""
    asked = Asked()
    with Backend(asked) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()


@dataclass
class Client:
    url: str
    token: str

    def open(self) -> socket.socket:
        address = urlsplit(self.url)
        return socket.create_connection((address.hostname, address.port), timeout=PATIENCE_S)

    def head(self, *more: str, target: str = "/run/echo", method: str = "POST") -> bytes:
        lines = [f"{method} {target} HTTP/1.1", "Host: gateway", f"Authorization: Bearer {self.token}", *more]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def exchange(self, raw: bytes) -> bytes:
        """Everything that comes back until the gateway closes, or nothing more comes."""
        with self.open() as connection:
            connection.sendall(raw)
            return drain(connection)


def drain(connection: socket.socket, *, until: bytes = b"", patience_s: float = 1.0) -> bytes:
    connection.settimeout(patience_s if not until else PATIENCE_S)
    received = b""
    try:
        while (piece := connection.recv(1 << 16)) and not (until and until in received + piece):
            received += piece
        received += piece
    except (TimeoutError, ConnectionError):
        pass
    return received
