"""The payload: a request's body as the file a script reads. What the body is decides its own bytes, never a
Content-Type: OSCAR's clients label Base64 as JSON, as a form, or not at all.

- empty: an empty file
- a JSON object or array: as it is
- a JSON string: its content, decoded if that is Base64
- Base64 (standard alphabet, padded, in lines or not): decoded
- anything else: as it is
"""

import binascii
import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

from gateway.staging.workspace import Workspace

JSON_LIMIT = 4 << 20
"""A JSON string up to this size is read as JSON, bytes; a longer one only if it is Base64 between two
quotes."""

CHUNK = 1 << 20
_STRAY = re.compile(rb"[^A-Za-z0-9+/=\r\n]")


def stage_body(workspace: Workspace) -> str:
    """Turn the workspace's body into an input file; returns its name. Blocking. Raises OSError."""
    name = f"event-file-{uuid.uuid4()}"
    target = workspace.input_dir / name
    body = workspace.body
    if not (_unquoted(body, target) or _decoded(_chunks(body), target)):
        body.replace(target)
    body.unlink(missing_ok=True)
    return name


def _unquoted(body: Path, target: Path) -> bool:
    """Whether the body is a JSON string; then the target has its content."""
    with body.open("rb") as file:
        if not file.read(64).lstrip(b" \t\r\n").startswith(b'"'):
            return False
    if body.stat().st_size > JSON_LIMIT:
        return _decoded(_between_quotes(body), target)
    try:
        text = json.loads(body.read_bytes())
        content = text.encode()
    except (ValueError, RecursionError):
        return False
    if not _decoded(iter([content]), target):
        target.write_bytes(content)
    return True


def _between_quotes(body: Path) -> Iterator[bytes]:
    """The body without the two quotes; with what stands around them it is no Base64, and refused as such."""
    held = b""
    for number, chunk in enumerate(_chunks(body)):
        held += chunk.lstrip(b" \t\r\n").removeprefix(b'"') if number == 0 else chunk
        yield held[:-CHUNK]
        held = held[-CHUNK:]
    yield held.rstrip(b" \t\r\n").removesuffix(b'"')


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _decoded(chunks: Iterator[bytes], target: Path) -> bool:
    """Whether the chunks are Base64 and more than nothing; then the target has what they stand for, else
    there is none."""
    with target.open("wb") as file:
        try:
            for part in _base64_parts(chunks):
                file.write(binascii.a2b_base64(part, strict_mode=True))
            found = file.tell() > 0
        except ValueError:
            found = False
    if not found:
        target.unlink()
    return found


def _base64_parts(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same in pieces of whole groups of four. Raises ValueError as soon as it cannot be Base64."""
    rest, padded = b"", False
    for chunk in chunks:
        if _STRAY.search(chunk):
            raise ValueError("not of the alphabet")
        rest += chunk.translate(None, b"\r\n")
        if rest and padded:
            raise ValueError("more behind the padding")
        size = len(rest) - len(rest) % 4
        part, rest = rest[:size], rest[size:]
        padded = part.endswith(b"=")
        yield part
    if rest:
        raise ValueError("not padded")
