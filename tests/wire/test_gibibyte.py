"""1 GiB through the gateway as it is served, up and down: whole, and in bounded memory."""

import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.gateway_process import GatewayProcess
from tests.wire.raw import Client

pytestmark = [pytest.mark.services, pytest.mark.timeout(180)]

SIZE, GROWTH = 1 << 30, 48 << 20
PIECE = bytes(range(256)) * 1024
DOWN = b"/?down"


class Stream(socketserver.StreamRequestHandler):
    """Takes any body and tells how long it was; gives 1 GiB to whom asks for it."""

    def handle(self) -> None:
        while head := b"".join(iter(self.rfile.readline, b"\r\n")).lower():
            left = length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            while left:
                left -= len(self.rfile.read1(min(left, 1 << 20)))
            if DOWN in head:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
                for _ in range(SIZE // len(PIECE)):
                    self.wfile.write(PIECE)
            else:
                told = str(length).encode()
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(told) + told)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    with Server(("127.0.0.1", 0), Stream) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        with GatewayProcess(tmp_path, {"INVOKER_URL": url}) as gateway:
            yield gateway
        server.shutdown()


@pytest.fixture
def client(gateway: GatewayProcess) -> Client:
    with gateway.http() as http:
        definition = {"name": "echo", "image": "example.org/none", "script": "cat"}
        assert http.post("/system/services", json=definition).status_code == 201
        token = http.get("/system/services/echo").json()["token"]
        assert http.post("/run/echo", content=b"warm").text == "4"
    return Client(gateway.endpoints["url"], token)


def growth_bytes(gateway: GatewayProcess, work: Callable[[], None]) -> int:
    """By how much the gateway's memory grew at most, over where it was."""
    assert gateway.process is not None
    process, ended = psutil.Process(gateway.process.pid), threading.Event()
    before = most = process.memory_info().rss

    def watch() -> None:
        nonlocal most
        while not ended.wait(0.02):
            most = max(most, process.memory_info().rss)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        work()
    finally:
        ended.set()
        watching.join()
    return most - before


def test_a_gibibyte_goes_up_in_bounded_memory(gateway: GatewayProcess, client: Client) -> None:
    def up() -> None:
        with client.open() as connection:
            connection.settimeout(60)
            connection.sendall(client.head(f"Content-Length: {SIZE}", "Connection: close"))
            for _ in range(SIZE // len(PIECE)):
                connection.sendall(PIECE)
            answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
        assert answer.endswith(b"\r\n\r\n%d" % SIZE)

    assert growth_bytes(gateway, up) < GROWTH


def test_a_gibibyte_comes_down_whole_in_bounded_memory(gateway: GatewayProcess, client: Client) -> None:
    def down() -> None:
        with client.open() as connection, connection.makefile("rb", buffering=len(PIECE)) as answer:
            connection.settimeout(60)
            head = client.head("Content-Length: 0", "Connection: close", target="/run/echo?down")
            connection.sendall(head)
            while answer.readline() != b"\r\n":
                pass
            for _ in range(SIZE // len(PIECE)):
                assert answer.read(len(PIECE)) == PIECE
            assert answer.read() == b""

    assert growth_bytes(gateway, down) < GROWTH
