"""Which of the things in the output folder are outputs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.domain.parted import LARGEST_BYTES
from gateway.domain.problems import TooLarge
from gateway.staging import outputs
from gateway.staging.outputs import Outputs, find_outputs

NO_LIMIT = 1 << 40


def left_by(folder: Path, script: str, limit_bytes: int = NO_LIMIT) -> Outputs:
    subprocess.run(["/bin/sh", "-c", script], cwd=folder, check=True)
    return find_outputs(folder, limit_bytes=limit_bytes)


def test_files_are_found_in_every_folder_ordered_by_name(tmp_path: Path) -> None:
    found = left_by(tmp_path, "mkdir -p sub/deep empty; echo 1 > b; echo 22 > sub/deep/c; : > 'a b'")
    assert [(file.name, file.size_bytes) for file in found.files] == [("a b", 0), ("b", 2), ("sub/deep/c", 3)]
    assert found.skipped == ()


def test_links_pipes_and_sockets_are_told_and_not_followed(tmp_path: Path) -> None:
    found = left_by(tmp_path, "ln -s /etc/passwd p; ln -s /etc e; mkfifo f; ln -s / root; echo 1 > plain")
    assert [file.name for file in found.files] == ["plain"]
    assert sorted(found.skipped) == [f"{name}: not a plain file" for name in ("e", "f", "p", "root")]


def test_an_output_folder_made_a_link_gives_nothing(tmp_path: Path) -> None:
    found = left_by(tmp_path, "mkdir out; ln -s /etc link")
    assert found.files == ()
    assert find_outputs(tmp_path / "link", limit_bytes=NO_LIMIT).files == ()


def test_an_output_that_became_a_link_since_is_not_opened(tmp_path: Path) -> None:
    (file,) = left_by(tmp_path, "echo 1 > a").files
    file.path.unlink()
    file.path.symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic links"):
        file.open()


def test_rights_a_script_took_from_its_own_files_are_no_obstacle(tmp_path: Path) -> None:
    found = left_by(tmp_path, "mkdir d; echo 1 > d/f; chmod 000 d/f d")
    with found.files[0].open() as file:
        assert file.read() == b"1\n"


def test_names_of_any_kind_are_kept_and_those_not_utf8_are_told_apart(tmp_path: Path) -> None:
    for name in (b"new\nline", "ñ 漢".encode(), b"\xff\xfe"):
        (tmp_path / os.fsdecode(name)).touch()
    found = {file.printable: file.utf8 for file in find_outputs(tmp_path, limit_bytes=NO_LIMIT).files}
    assert found == {"new\nline": True, "ñ 漢": True, "\\xff\\xfe": False}


def test_folders_nested_deeper_than_a_path_may_be_long_are_told(tmp_path: Path) -> None:
    deep = "import os\nfor _ in range(20):\n os.mkdir('d' * 250)\n os.chdir('d' * 250)"
    subprocess.run([sys.executable, "-c", deep], cwd=tmp_path, check=True)
    found = left_by(tmp_path, "echo 1 > a")
    assert [file.name for file in found.files] == ["a"]
    assert "name too long" in found.skipped[0]
    subprocess.run(["rm", "-rf", tmp_path / ("d" * 250)], check=True)


def test_a_file_that_no_store_holds_as_one_object_is_named(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(LARGEST_BYTES)
    assert find_outputs(tmp_path, limit_bytes=LARGEST_BYTES).files[0].size_bytes == LARGEST_BYTES
    with (tmp_path / "huge").open("ab") as file:
        file.truncate(LARGEST_BYTES + 1)
    with pytest.raises(TooLarge, match="huge has more than"):
        find_outputs(tmp_path, limit_bytes=2 * LARGEST_BYTES)


def test_too_many_files_or_bytes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TooLarge, match="OUTPUT_LIMIT"):
        left_by(tmp_path, "echo 1 > a; echo 1 > b", limit_bytes=3)
    monkeypatch.setattr(outputs, "FILES_LIMIT", 1)
    with pytest.raises(TooLarge, match="more than 1 output files"):
        find_outputs(tmp_path, limit_bytes=NO_LIMIT)
