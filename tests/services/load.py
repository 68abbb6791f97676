"""A gateway under load: jobs submitted one after the other while something beside it fails."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.gateway_process import GatewayProcess, wait_for

SETTLED_S = 90.0


@contextmanager
def shouting_gateway(data_dir: Path, settings: Mapping[str, str]) -> Iterator[GatewayProcess]:
    """With the service `shout`, few of whose jobs live at a time."""
    with GatewayProcess(data_dir, {"JOBS_LIVE_LIMIT": "8", **settings}) as gateway:
        with gateway.http() as http:
            definition = {"name": "shout", "image": "none", "script": 'tr a-z A-Z < "$INPUT_FILE_PATH"'}
            assert http.post("/system/services", json=definition).status_code == 201
        yield gateway


class Load:
    """Submits jobs for as long as it is asked to; every answer is kept."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._gateway = gateway
        self._stop = threading.Event()
        self.accepted: list[str] = []
        self.refused: list[httpx.Response] = []
        self.cut = 0
        self.slowest_s = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self._submit)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def goes_on(self, *, jobs: int, within_s: float) -> None:
        """So many more are accepted."""
        before = len(self.accepted)
        wait_for(lambda: len(self.accepted) > before + jobs, within_s=within_s)

    def _submit(self) -> None:
        while not self._stop.wait(0.05):
            started = time.monotonic()
            try:
                # A gateway that was killed comes back at another port.
                with self._gateway.http() as http:
                    answer = http.post("/job/shout", content=b"hello")
            except httpx.TransportError:
                self.cut += 1
                continue
            self.slowest_s = max(self.slowest_s, time.monotonic() - started)
            if answer.status_code == 201:
                self.accepted.append(answer.headers["x-oscar-job-id"])
            else:
                self.refused.append(answer)


def jobs(http: httpx.Client) -> dict[str, Any]:
    """All there are, by id."""
    found: dict[str, Any] = {}
    page: dict[str, Any] = {"next": ""}
    while "next" in page:
        answer = http.get("/v1/jobs", params={"limit": 500, "cursor": page["next"]})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found.update({job["id"]: job for job in page["jobs"]})
    return found


def succeeded(http: httpx.Client) -> int:
    return sum(job["state"] == "succeeded" for job in jobs(http).values())


def settled(gateway: GatewayProcess) -> dict[str, Any]:
    """All jobs, once every one has succeeded."""
    with gateway.http() as http:
        wait_for(lambda: succeeded(http) == len(jobs(http)), within_s=SETTLED_S, every_s=0.5)
        return jobs(http)
