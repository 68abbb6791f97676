"""What a request's body becomes in the script's input file."""

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.staging import payload
from gateway.staging.payload import stage_body
from gateway.staging.workspace import Workspace

PICTURE = bytes(range(256)) * 400


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("payload"))
    workspace.input_dir.mkdir()
    return workspace


def staged(workspace: Workspace, body: bytes) -> bytes:
    workspace.body.write_bytes(body)
    path = workspace.input_dir / stage_body(workspace)
    content = path.read_bytes()
    assert [entry.name for entry in workspace.input_dir.iterdir()] == [path.name]
    assert not workspace.body.exists()
    path.unlink()
    return content


def wrapped(content: bytes) -> bytes:
    return base64.encodebytes(content)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", b""),
        (b'{"message": "hi"}', b'{"message": "hi"}'),
        (b" [1, 2]\n", b" [1, 2]\n"),
        (b"{not json at all", b"{not json at all"),
        (b'"aGVsbG8="', b"hello"),
        (b'  "aGVsbG8="\r\n', b"hello"),
        (b'"plain \\u00e9 text"', "plain é text".encode()),
        (b'"a\\/+/\\nb+c="', base64.b64decode(b"a/+/b+c=")),
        (b'"half a string', b'"half a string'),
        (b'"lone surrogate \\ud800"', b'"lone surrogate \\ud800"'),
        (base64.b64encode(PICTURE), PICTURE),
        (wrapped(PICTURE), PICTURE),
        (wrapped(PICTURE).replace(b"\n", b"\r\n"), PICTURE),
        (b"aGVsbG8", b"aGVsbG8"),
        (b"aGVsbG8=x", b"aGVsbG8=x"),
        (b"aG=VsbG8", b"aG=VsbG8"),
        (b"aGk=aGk=", b"aGk=aGk="),
        (b"aGVs bG8=", b"aGVs bG8="),
        (b"aGVsbG8_", b"aGVsbG8_"),
        (b"\n", b"\n"),
        (b"a plain text, and not Base64", b"a plain text, and not Base64"),
        (b"a=1&b=2", b"a=1&b=2"),
        (b"\x00\xff\x00", b"\x00\xff\x00"),
        ("ñandú".encode(), "ñandú".encode()),
    ],
)
def test_a_body_becomes_the_input_file_by_its_own_bytes(
    workspace: Workspace, body: bytes, expected: bytes
) -> None:
    assert staged(workspace, body) == expected


def test_the_input_file_is_named_as_oscar_names_it(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.input_dir.mkdir()
    workspace.body.write_bytes(b"x")
    assert re.fullmatch(r"event-file-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", stage_body(workspace))


@pytest.mark.parametrize("encode", [base64.b64encode, wrapped])
def test_base64_longer_than_a_chunk_is_decoded_whole(
    workspace: Workspace, encode: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payload, "CHUNK", 61)
    assert staged(workspace, encode(PICTURE)) == PICTURE


def test_base64_that_goes_wrong_at_its_end_stays_as_it_is(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payload, "CHUNK", 64)
    for body in (
        base64.b64encode(PICTURE) + b"!",
        base64.b64encode(PICTURE[:47]) + base64.b64encode(PICTURE),
    ):
        assert staged(workspace, body) == body


def test_a_long_json_string_is_decoded_if_it_is_base64_and_else_stays(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payload, "JSON_LIMIT", 100)
    monkeypatch.setattr(payload, "CHUNK", 90)
    assert staged(workspace, b' "' + base64.b64encode(PICTURE) + b'" \n') == PICTURE
    text = json.dumps("many words " * 100).encode()
    assert staged(workspace, text) == text


@given(st.binary(max_size=300))
def test_whatever_is_sent_as_base64_arrives(workspace: Workspace, content: bytes) -> None:
    assert staged(workspace, base64.b64encode(content)) == content


@given(st.one_of(st.binary(max_size=200), st.text('"\\aGk=+/ \n{}[]u0', max_size=60).map(str.encode)))
def test_any_body_becomes_exactly_one_input_file(workspace: Workspace, body: bytes) -> None:
    staged(workspace, body)
