"""The demo as `make demo` runs it, with a gateway of its own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_demo_puts_all_three_examples_to_work(tmp_path: Path) -> None:
    environment = dict(os.environ)
    # The development lock holds the examples' tools too.
    environment["PROCESS_PATH"] = os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])
    ended = subprocess.run(
        [sys.executable, "-m", "examples.demo", str(tmp_path)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (results,) = tmp_path.iterdir()
    assert {file.name for file in results.iterdir()} == {
        "gateway.log",
        "cow.txt",
        "input-cow.txt",
        "photo-answer.jpg",
        "photo-gray.jpg",
        "speech-answer.wav",
        "input.wav",
    }
    # A call and a file give the same: only the way in differs.
    assert (results / "photo-answer.jpg").read_bytes() == (results / "photo-gray.jpg").read_bytes()
    assert (results / "speech-answer.wav").read_bytes() == (results / "input.wav").read_bytes()
