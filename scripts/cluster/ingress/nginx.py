"""nginx as a child of this program: runs from a folder (configuration, error log, pid file), ends with it."""

import contextlib
import signal
import time
import urllib.request
from pathlib import Path

from cluster import child

HEAD = Path(__file__).with_name("head.conf").read_text()
NOTHING = "}\n"
"""The body of a configuration that serves nobody."""
TAKEN_S = 20.0
"""Also on a busy machine."""


class Nginx:
    def __init__(self, folder, *, address, port):
        self._folder = Path(folder).resolve()
        self.listen = f"{address}:{port}"
        self.generation, self._body = 0, NOTHING
        self._http = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def __enter__(self):
        self._folder.mkdir(parents=True, exist_ok=True)
        self._write(NOTHING)
        self._process = child(["nginx", "-p", f"{self._folder}/", "-c", f"{self._folder}/nginx.conf"])
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(10)

    def runs(self):
        return self._process.poll() is None

    def load(self, body):
        """Whether that is what it serves now. A configuration that it refuses leaves the old one in place."""
        if body == self._body:
            return True
        self.generation += 1
        self._write(body)
        old = self._workers()
        self._process.send_signal(signal.SIGHUP)
        if not self.takes(old):
            return False
        self._body = body
        return True

    def takes(self, old=frozenset()):
        """Whether the configuration answers, and none of the old workers accepts connections any more."""
        end = time.monotonic() + TAKEN_S
        while time.monotonic() < end:
            if self._answers() and not old & self._workers():
                return True
            time.sleep(0.02)
        return False

    def _write(self, body):
        head = HEAD.replace("LISTEN", self.listen).replace("GENERATION", str(self.generation))
        (self._folder / "nginx.conf").write_text(head + body)

    def _answers(self):
        try:
            with self._http.open(f"http://{self.listen}/lab-ingress-generation", timeout=2) as answer:
                return answer.read() == b"%d" % self.generation
        except OSError:
            return False

    def _workers(self):
        """Those that accept connections: process ids. An old one says in its title that it does
        not any more."""
        pid = self._process.pid
        titles = {}
        for worker in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with contextlib.suppress(OSError):  # ended meanwhile
                titles[worker] = Path("/proc", worker, "cmdline").read_bytes()
        return {worker for worker, title in titles.items() if b"shutting down" not in title}
