"""OSCAR's access lines: written in its form, read back, kept within bounds."""

from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gateway.api.access_log import AccessLog, Answered, parse_line

AT = datetime(2026, 11, 24, 3, 0, 0, 123456, UTC)


def answered(path: str = "/run/cowsay", user: str = "oscar", status: int = 200) -> Answered:
    return Answered(
        at=AT, status=status, took_s=0.0123, client="10.0.0.7", method="POST", path=path, user=user
    )


def test_a_line_has_oscars_form() -> None:
    assert answered().line() == (
        "[GIN-EXECUTIONS-LOGGER] 2026-11-24T03:00:00.123456Z | 200 | 12.300ms | 10.0.0.7 "
        "| POST    /run/cowsay | oscar"
    )


def test_a_line_is_read_back_in_parts() -> None:
    line = answered(user="").line()
    assert parse_line(line) == {
        "timestamp": "2026-11-24T03:00:00.123456Z",
        "status": 200,
        "latency": "12.300ms",
        "client_ip": "10.0.0.7",
        "method": "POST",
        "path": "/run/cowsay",
        "user": "nil",
        "raw": line,
    }


@given(path=st.text(), user=st.text())
def test_no_path_or_name_breaks_out_of_its_line(path: str, user: str) -> None:
    line = answered(path=path, user=user).line()
    parsed = parse_line(line)
    assert len(line.splitlines()) == 1
    assert not path or (parsed is not None and parsed["status"] == 200)


@given(st.text())
def test_any_other_line_is_passed_over(line: str) -> None:
    assert parse_line(line) is None


async def test_lines_are_there_as_soon_as_somebody_reads(tmp_path: Path) -> None:
    log = AccessLog(tmp_path / "access.log")
    for number in range(100):
        log.note(answered(path=f"/job/{number}"))
    lines = await log.lines(older=False)
    assert [line.split()[-3] for line in lines] == [f"/job/{number}" for number in range(100)]
    assert await log.lines(older=True) == []


async def test_the_file_gives_way_to_a_new_one_before_it_grows_too_large(tmp_path: Path) -> None:
    log = AccessLog(tmp_path / "access.log", size_limit=1000)
    for number in range(30):
        log.note(answered(path=f"/job/{number}"))
        await log.lines(older=False)
    assert (tmp_path / "access.log.1").stat().st_size < 1200
    newer, older = await log.lines(older=False), await log.lines(older=True)
    assert [line.split()[-3] for line in older + newer][-1] == "/job/29"


async def test_lines_of_processes_on_one_port_are_read_together(tmp_path: Path) -> None:
    paths = [tmp_path / "1.log", tmp_path / "2.log", tmp_path / "not there.log"]
    mine, theirs = AccessLog(paths[0], others=paths[1:]), AccessLog(paths[1])
    for second in range(10):
        at = AT.replace(second=second)
        (mine, theirs)[second % 2].note(answered(path=f"/job/{second}")._replace(at=at))
    await theirs.lines(older=False)
    lines = await mine.lines(older=False)
    assert [line.split()[-3] for line in lines] == [f"/job/{second}" for second in range(10)]


async def test_a_disk_that_takes_nothing_stops_nobody(tmp_path: Path) -> None:
    log = AccessLog(tmp_path / "no such folder" / "access.log")
    log.note(answered())
    assert await log.lines(older=False) == []
