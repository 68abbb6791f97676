"""Files on their way into a container and back, the way back being what a stranger's program made."""

import contextlib
import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.domain.definition import Service
from gateway.executors import archive
from gateway.executors.archive import pack_workspace, unpack_outputs
from gateway.staging.workspace import lay_out


def member(name: str, kind: bytes = tarfile.REGTYPE, content: bytes = b"", link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.size, made.linkname = kind, len(content), link
    return made


def tar(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w") as made:
        for info, content in members:
            made.addfile(info, io.BytesIO(content))
    return path


def test_a_workspace_is_packed_for_any_user_and_without_what_is_ours(tmp_path: Path) -> None:
    workspace = lay_out(tmp_path / "run", Service(name="a", image="i", script="echo"))
    (workspace.input_dir / "ñ a").write_bytes(b"input")
    (workspace.root / "order").write_text("secret")
    (workspace.input_dir / "ñ a").chmod(0o600)
    pack_workspace(workspace, tmp_path / "tar", root="/oscar")
    with tarfile.open(tmp_path / "tar") as packed:
        modes = {one.name: oct(one.mode) for one in packed}
        assert {one.uid for one in packed} == {0}
    assert modes == {
        "oscar": "0o755",
        "oscar/config": "0o755",
        "oscar/input": "0o755",
        "oscar/output": "0o777",
        "oscar/config/script.sh": "0o644",
        "oscar/config/function_config.yaml": "0o644",
        "oscar/input/ñ a": "0o644",
    }


def test_files_come_back_under_their_names(tmp_path: Path) -> None:
    raw = os.fsdecode(b"output/sub/\xff")
    packed = tar(
        tmp_path / "tar",
        (member("output", tarfile.DIRTYPE), b""),
        (member("output/a b", content=b"1"), b"1"),
        (member(raw, content=b"22"), b"22"),
    )
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").touch()
    assert unpack_outputs(packed, tmp_path / "out") == []
    found = {
        os.fsencode(path.relative_to(tmp_path / "out"))
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert found == {b"a b", b"sub/\xff"}


def test_nothing_is_written_outside_and_no_link_is_made(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    packed = tar(
        tmp_path / "tar",
        (member("output/../../outside/evil", content=b"x"), b"x"),
        (member("/output/../outside/evil", content=b"x"), b"x"),
        (member("output/way", tarfile.SYMTYPE, link=str(outside)), b""),
        (member("output/way/evil", content=b"x"), b"x"),
        (member("output/hard", tarfile.LNKTYPE, link="/etc/passwd"), b""),
        (member("output/pipe", tarfile.FIFOTYPE), b""),
    )
    skipped = unpack_outputs(packed, tmp_path / "out")
    assert list(outside.iterdir()) == []
    assert not any(path.is_symlink() for path in (tmp_path / "out").rglob("*"))
    assert skipped == [f"{name}: not a plain file" for name in ("way", "hard", "pipe")]


def test_no_more_files_are_unpacked_than_show_that_they_are_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "FILES_LIMIT", 3)
    members = [(member(f"output/{number}", content=b"x"), b"x") for number in range(9)]
    unpack_outputs(tar(tmp_path / "tar", *members), tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 4


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=2000), st.integers(0, 1500))
def test_what_is_no_tar_is_refused_as_a_fault_of_the_file(tmp_path: Path, noise: bytes, at: int) -> None:
    whole = tar(tmp_path / "tar", (member("output/a", content=b"1"), b"1")).read_bytes()
    (tmp_path / "tar").write_bytes(whole[:at] + noise)
    with contextlib.suppress(OSError):
        unpack_outputs(tmp_path / "tar", tmp_path / "out")
