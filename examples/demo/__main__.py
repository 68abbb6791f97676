"""Start a gateway, deploy the examples, call each, upload a file to each, keep what came back.

`python -m examples.demo [--cluster] [folder of results]`; exit status 0 only if all of it worked. With
`--cluster` the gateway is one installed on a Kubernetes cluster (`examples.demo.cluster`), and nothing else
differs.
"""

import base64
import os
import sys
import tempfile
import time
import wave
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from examples.demo.child import running_gateway
from examples.demo.client import Client, DemoError
from examples.demo.cluster import installed_gateway

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
T = TypeVar("T")
Opening = Callable[[Path, Path], AbstractContextManager[Client]]
"""From a folder for data and a file for the log to a client of a gateway that serves."""


@dataclass(frozen=True, slots=True)
class Example:
    """`sent` goes to `/run`, whose answer is kept as `answer`; `uploaded` goes to the input bucket."""

    name: str
    sent: str
    answer: str
    uploaded: str
    file_answer: bool = True
    """The answer is a file, so it comes in Base64; else it is the script's own text."""


THREE = (
    Example("cowsay", "input.json", "cow.txt", "input.txt", file_answer=False),
    Example("grayscale", "photo.jpg", "photo-answer.jpg", "photo.jpg"),
    Example("text-to-speech", "input.txt", "speech-answer.wav", "input.txt"),
)


def main(parent: Path, *, cluster: bool) -> int:
    results = new_folder(parent)
    log = results / "gateway.log"
    try:
        with tempfile.TemporaryDirectory(prefix="oscar-gateway-demo-") as data:
            show_all(installed_gateway if cluster else running_gateway, Path(data), log, results)
    except DemoError as error:
        print(f"\nThe demo failed: {error}\nThe gateway's last lines (all of them: {log}):", file=sys.stderr)
        told = log.read_text(errors="replace").splitlines() if log.exists() else []
        print("\n".join(told[-20:]), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"\nAll three did their work; the results are in {os.path.relpath(results)}/")
    return 0


def show_all(opening: Opening, data: Path, log: Path, results: Path) -> None:
    with opening(data, log) as client:
        print(f"A gateway serves at {client.url}, with {client.beside} beside it.")
        for example in THREE:
            show(client, example, results)


def new_folder(parent: Path) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=time.strftime("%Y%m%d-%H%M%S-"), dir=parent))


def show(client: Client, example: Example, results: Path) -> None:
    client.deploy(EXAMPLES / example.name / "service.yaml")
    print(f"\n{example.name}: deployed from examples/{example.name}/service.yaml")
    show_call(client, example, results)
    show_upload(client, example, results)


def show_call(client: Client, example: Example, results: Path) -> None:
    source = EXAMPLES / example.name / example.sent
    # JSON goes as it is; everything else in Base64, as OSCAR's clients send it.
    body = source.read_bytes() if source.suffix == ".json" else base64.b64encode(source.read_bytes())
    answer, took_s = timed(lambda: client.run(example.name, body))
    kept = results / example.answer
    kept.write_bytes(base64.b64decode(answer) if example.file_answer else answer)
    print(f"  called with {described(source)}: answered in {took_s:.2f} s with {described(kept)}")
    if not example.file_answer:
        print("".join(f"    {line}\n" for line in kept.read_text().splitlines()), end="")


def show_upload(client: Client, example: Example, results: Path) -> None:
    source = EXAMPLES / example.name / example.uploaded
    bucket = example.name

    def upload_and_wait() -> str:
        client.upload(bucket, f"input/{source.name}", source.read_bytes())
        return client.wait_for_job(example.name)

    job, took_s = timed(upload_and_wait)
    made = client.list_objects(bucket, "output/")
    if not made:
        raise DemoError(f"job {job} of {example.name} left nothing in {bucket}/output/")
    for key in made:
        kept = results / Path(key).name
        kept.write_bytes(client.download(bucket, key))
        taken = f"uploaded {source.name} to {bucket}/input/"
        print(f"  {taken}: {took_s:.2f} s later {bucket}/output/ has {described(kept)}")


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What it returns, and the seconds it took."""
    began = time.monotonic()
    return work(), time.monotonic() - began


def described(path: Path) -> str:
    """A file in a few words. Raises DemoError if it is not what its name says."""
    size = f"{path.name}, {path.stat().st_size:,} bytes"
    if path.suffix == ".wav":
        try:
            with wave.open(str(path)) as sound:
                return f"{size}, {sound.getnframes() / sound.getframerate():.1f} s of speech"
        except (wave.Error, EOFError) as error:
            raise DemoError(f"{path} is not sound: {error}") from error
    return size


if __name__ == "__main__":
    arguments = [argument for argument in sys.argv[1:] if argument != "--cluster"]
    folder = Path(arguments[0]) if arguments else ROOT / "demo-results"
    sys.exit(main(folder, cluster="--cluster" in sys.argv[1:]))
