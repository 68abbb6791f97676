"""What is kept of a script's printing, and what happens at the bounds."""

from pathlib import Path

from gateway.staging.capture import Capture
from gateway.staging.log import entry
from gateway.staging.workspace import Workspace

AT = b"2026-11-24T03:00:00.000000001Z"


def test_standard_output_is_kept_as_it_is_and_both_streams_as_the_log(tmp_path: Path) -> None:
    capture = Capture(str(tmp_path), stdout_limit=1000, log_limit=1000)
    capture.take("stdout", b"\xff\x00 binary", AT)
    capture.take("stderr", b"oops\n", AT)
    capture.end(AT)
    workspace = Workspace(tmp_path)
    assert workspace.stdout.read_bytes() == b"\xff\x00 binary"
    assert workspace.log.read_bytes() == entry(AT, "stderr", b"oops") + entry(
        AT, "stdout", b"\xff\x00 binary"
    )
    assert (workspace.stdout_cut, capture.trouble) == (False, "")


def test_beyond_its_limit_the_log_says_that_it_was_cut_and_ends_with_a_whole_line(tmp_path: Path) -> None:
    capture = Capture(str(tmp_path), stdout_limit=1000, log_limit=100)
    for number in range(10):
        capture.take("stdout", b"line %d\n" % number, AT)
    capture.end(AT)
    lines = Workspace(tmp_path).log.read_bytes().splitlines()
    assert lines[:2] == [entry(AT, "stdout", b"line 0")[:-1], entry(AT, "stdout", b"line 1")[:-1]]
    assert len(lines) == 3
    assert b"100 bytes, which is the limit (LOG_LIMIT)" in lines[2]


def test_standard_output_of_just_its_limit_is_whole_and_one_byte_more_is_cut(tmp_path: Path) -> None:
    for printed, cut in ((b"x" * 10, False), (b"x" * 11, True)):
        capture = Capture(str(tmp_path), stdout_limit=10, log_limit=1000)
        capture.take("stdout", printed, AT)
        capture.end(AT)
        workspace = Workspace(tmp_path)
        assert (workspace.stdout.read_bytes(), workspace.stdout_cut) == (b"x" * 10, cut)


def test_a_full_disk_is_told_and_stops_nothing(tmp_path: Path) -> None:
    Workspace(tmp_path).log.symlink_to("/dev/full")
    capture = Capture(str(tmp_path), stdout_limit=1000, log_limit=1000)
    for _ in range(3):
        capture.take("stdout", b"x\n", AT)
    capture.end(AT)
    assert capture.trouble == "No space left on device"
    assert Workspace(tmp_path).stdout.read_bytes() == b"x\nx\nx\n"
