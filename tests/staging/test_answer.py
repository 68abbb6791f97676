"""OSCAR's answer: one file, several, none."""

import base64
import io
import os
import zipfile
from pathlib import Path

import pytest

from gateway.domain.job import ResultKind
from gateway.staging.answer import Answer, find_answer, read_answer
from gateway.staging.chunks import CHUNK
from gateway.staging.outputs import find_outputs
from gateway.staging.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path)
    workspace.output_dir.mkdir()
    return workspace


def answer_of(workspace: Workspace) -> Answer:
    return find_answer(workspace, find_outputs(workspace.output_dir, limit_bytes=1 << 40))


async def sent(answer: Answer, *, raw: bool = False) -> bytes:
    body = b"".join([chunk async for chunk in read_answer(answer, raw=raw)])
    assert len(body) == answer.sent_bytes(raw=raw)
    return body


async def test_no_file_is_the_text_as_it_is(workspace: Workspace) -> None:
    workspace.stdout.write_bytes(b"caf\xe9\n")
    answer = answer_of(workspace)
    assert (answer.kind, answer.name, await sent(answer)) == (ResultKind.TEXT, "", b"caf\xe9\n")


async def test_a_script_that_printed_nothing_and_left_nothing_answers_nothing(workspace: Workspace) -> None:
    assert await sent(answer_of(workspace)) == b""


async def test_one_file_is_its_base64_in_one_line_or_its_bytes(workspace: Workspace) -> None:
    content = os.urandom(2 * CHUNK + 1)
    (workspace.output_dir / "sub").mkdir()
    (workspace.output_dir / "sub" / "ñ.png").write_bytes(content)
    answer = answer_of(workspace)
    assert (answer.kind, answer.name) == (ResultKind.FILE, "ñ.png")
    assert await sent(answer) == base64.b64encode(content)
    assert await sent(answer, raw=True) == content


async def test_several_files_are_a_zip_with_relative_names(workspace: Workspace) -> None:
    (workspace.output_dir / "sub").mkdir()
    for name in (b"sub/one", "ñ 漢".encode(), b"\xff"):
        (workspace.output_dir / os.fsdecode(name)).write_bytes(name)
    answer = answer_of(workspace)
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(await sent(answer)))) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    assert (answer.kind, answer.name) == (ResultKind.ZIP, "result.zip")
    assert found == {"sub/one": b"sub/one", "ñ 漢": "ñ 漢".encode(), "\\xff": b"\xff"}


async def test_the_same_outputs_make_the_same_zip(workspace: Workspace) -> None:
    for name in ("b", "a"):
        (workspace.output_dir / name).write_text(name)
    first = await sent(answer_of(workspace))
    os.utime(workspace.output_dir / "a", (0, 0))
    assert await sent(answer_of(workspace)) == first
