"""The pipes between the sidecar and one loop in the user's container: opened, read, and opened again when the
other side ended. What is said through them stands at the top of `loop.sh`."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

CHUNK = 64 << 10
NAMES = ("ask", "end", "out", "stop")


def make_pipes(folder: Path, slots: int) -> bool:
    """Four a slot, all there at once. False if an earlier life of ours made them. Raises OSError."""
    if folder.exists():
        return False
    new = folder.with_name(f"{folder.name}.new")
    new.mkdir(mode=0o755, exist_ok=True)
    for name in (f"{kind}.{number}" for kind in NAMES for number in range(slots)):
        os.mkfifo(new / name, 0o666)
        # Whoever the image runs as, and whatever our own mask is.
        (new / name).chmod(0o666)
    new.rename(folder)
    return True


class Pipes:
    """`on_line` gets what the loop reports, `on_output` what the script prints, `on_end` is called when the
    loop is gone."""

    def __init__(
        self,
        folder: Path,
        number: int,
        *,
        on_line: Callable[[str], None],
        on_output: Callable[[bytes], None],
        on_end: Callable[[], None],
    ) -> None:
        self._paths = {name: folder / f"{name}.{number}" for name in NAMES}
        self._on_line = on_line
        self._on_output = on_output
        self._on_end = on_end
        self._fds: dict[str, int] = {}
        self._rest = b""

    def open(self) -> None:
        """Never waits: reading without a writer is fine, and for writing we are a reader ourselves. Raises
        OSError."""
        for name in NAMES:
            mode = os.O_RDONLY if name in ("end", "out") else os.O_RDWR
            self._fds[name] = os.open(self._paths[name], mode | os.O_NONBLOCK | os.O_CLOEXEC)
        loop = asyncio.get_running_loop()
        loop.add_reader(self._fds["end"], self._read_lines)
        # A bounded bite: a script that prints without end leaves time for the others.
        loop.add_reader(self._fds["out"], self.drain, 4)

    def close(self) -> None:
        loop = asyncio.get_running_loop()
        for name, fd in self._fds.items():
            if name in ("end", "out"):
                loop.remove_reader(fd)
            os.close(fd)
        self._fds.clear()
        self._rest = b""

    def tell(self, name: str, line: str) -> None:
        """A line is shorter than what a pipe takes at once."""
        os.write(self._fds[name], f"{line}\n".encode())

    def drain(self, most: int = 64) -> None:
        """What is in the script's pipe now, at most so many chunks: by default more than a pipe holds."""
        for _ in range(most if self._fds else 0):
            try:
                data = os.read(self._fds["out"], CHUNK)
            except BlockingIOError:
                return
            if not data:
                # Its writers ended: so does the pipe of reports, which says so.
                asyncio.get_running_loop().remove_reader(self._fds["out"])
                return
            self._on_output(data)

    def _read_lines(self) -> None:
        try:
            data = os.read(self._fds["end"], CHUNK)
        except BlockingIOError:
            return
        if not data:
            self.close()
            self.open()
            self._on_end()
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._on_line(line.decode("ascii", "replace"))
