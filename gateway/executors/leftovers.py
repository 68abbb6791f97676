"""Leftovers: processes of a script whose runner was killed, found by the input folder in their
environment."""

import contextlib

import psutil


def kill_leftovers(input_dir: str) -> int:
    """How many were found and killed. Blocking; looks at every process of this machine that we may look
    at."""
    killed = 0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get("TMP_INPUT_DIR") == input_dir:
                process.kill()
                killed += 1
    return killed
