"""What calls wrote to stderr: a bounded file a service."""

from pathlib import Path

import pytest

from gateway.backends.invoker import call_log
from gateway.backends.invoker.call_log import CallLog
from gateway.staging.log import entry

AT = b"2026-11-24T03:00:00.123456789Z"


def ran(folder: Path, *lines: tuple[str, bytes]) -> Path:
    path = folder / "run.log"
    path.write_bytes(b"".join(entry(AT, stream, text) for stream, text in lines))
    return path


def messages(log: CallLog, count: int = 1000) -> list[str]:
    return [line.message for line in log.tail("a", count)]


def test_stderr_is_kept_in_order_with_its_times_and_standard_output_is_not(tmp_path: Path) -> None:
    log = CallLog(tmp_path)
    log.add("a", ran(tmp_path, ("stderr", b"one"), ("stdout", b"no"), ("stderr", b"caf\xe9")))
    log.add("b", ran(tmp_path, ("stderr", b"another service")))
    log.add("a", ran(tmp_path, ("stderr", b"three")))
    assert messages(log) == ["one", "caf\ufffd", "three"]
    assert messages(log, 1) == ["three"]
    assert log.tail("a", 1)[0].at is not None
    assert str(log.tail("a", 1)[0].at) == "2026-11-24 03:00:00.123456+00:00"


def test_it_stays_within_twice_its_limit_and_keeps_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_log, "FILE_LIMIT", 500)
    log = CallLog(tmp_path)
    for number in range(100):
        log.add("a", ran(tmp_path, ("stderr", b"line %d" % number)))
    assert messages(log, 3) == ["line 97", "line 98", "line 99"]
    assert sum(file.stat().st_size for file in tmp_path.glob("a.log*")) < 1200


def test_of_a_call_that_wrote_much_the_end_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_log, "CALL_LIMIT", 150)
    log = CallLog(tmp_path)
    log.add("a", ran(tmp_path, *(("stderr", b"line %d" % number) for number in range(100))))
    assert messages(log) == ["line 97", "line 98", "line 99"]


def test_removing_what_is_not_there_is_fine(tmp_path: Path) -> None:
    log = CallLog(tmp_path)
    log.remove("a")
    log.add("a", ran(tmp_path, ("stderr", b"one")))
    log.remove("a")
    assert messages(log) == []


def test_what_calls_wrote_in_other_processes_is_read_in_its_order_and_removed(tmp_path: Path) -> None:
    folders = [tmp_path / "1", tmp_path / "2"]
    for folder in folders:
        folder.mkdir()
    mine, theirs = CallLog(folders[0], others=folders[1:]), CallLog(folders[1])
    for second in range(6):
        at = b"2030-01-01T00:00:0%d.000000000Z" % second
        (tmp_path / "run.log").write_bytes(entry(at, "stderr", b"line %d" % second))
        (mine, theirs)[second % 2].add("a", tmp_path / "run.log")
    assert messages(mine, 4) == ["line 2", "line 3", "line 4", "line 5"]
    mine.remove("a")
    assert theirs.tail("a", 4) == ()
