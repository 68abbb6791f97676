"""The answer: OSCAR's result of a run. One output file is that file, several are a zip, none is the standard
output."""

import base64
import shutil
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gateway.domain.job import ResultKind
from gateway.staging.chunks import CHUNK, read_file
from gateway.staging.outputs import Output, Outputs
from gateway.staging.workspace import Workspace

ZIP_NAME = "result.zip"


@dataclass(frozen=True, slots=True)
class Answer:
    """`name` is that of the output file, `result.zip`, or "" for text."""

    kind: ResultKind
    path: Path
    name: str
    size_bytes: int

    def encoded(self, *, raw: bool) -> bool:
        """Whether it goes out as Base64."""
        return not raw and self.kind is not ResultKind.TEXT

    def sent_bytes(self, *, raw: bool) -> int:
        return sent_bytes(self.size_bytes, encoded=self.encoded(raw=raw))


def sent_bytes(size_bytes: int, *, encoded: bool) -> int:
    """How much goes out, as Base64 or as it is."""
    return -(-size_bytes // 3) * 4 if encoded else size_bytes


async def in_base64(content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """One text without newlines, whatever the pieces: what is no multiple of three bytes waits for the
    next."""
    rest = b""
    async for chunk in content:
        rest += chunk
        whole = len(rest) - len(rest) % 3
        yield base64.b64encode(rest[:whole])
        rest = rest[whole:]
    yield base64.b64encode(rest)


def find_answer(workspace: Workspace, outputs: Outputs) -> Answer:
    """Blocking; writes the zip where it takes one. Raises OSError."""
    match outputs.files:
        case ():
            workspace.stdout.touch()
            return _answer(ResultKind.TEXT, workspace.stdout, "")
        case (output,):
            return _answer(ResultKind.FILE, output.path, PurePosixPath(output.printable).name)
        case files:
            path = workspace.root / ZIP_NAME
            _write_zip(path, files)
            return _answer(ResultKind.ZIP, path, ZIP_NAME)


async def read_answer(answer: Answer, *, raw: bool) -> AsyncIterator[bytes]:
    """Its bytes; those of files as Base64 without newlines, unless `raw`."""
    async for chunk in read_file(answer.path):
        yield base64.b64encode(chunk) if answer.encoded(raw=raw) else chunk


def _answer(kind: ResultKind, path: Path, name: str) -> Answer:
    return Answer(kind, path, name, path.stat().st_size)


def _write_zip(path: Path, files: tuple[Output, ...]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for output in files:
            # Always the same time: the same outputs are the same bytes.
            member = zipfile.ZipInfo(output.printable, date_time=(1980, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = 0o644 << 16
            with output.open() as source, archive.open(member, "w", force_zip64=True) as target:
                shutil.copyfileobj(source, target, CHUNK)
