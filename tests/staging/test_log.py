"""The log's form, and how it is read."""

from collections.abc import AsyncIterator

from hypothesis import given
from hypothesis import strategies as st

from gateway.staging.log import LINE_LIMIT, Entries, entry, render, stamp

AT = b"2026-11-24T03:00:00.000000001Z"


async def rendered(log: bytes, *, timestamps: bool = False, step: int = 7) -> bytes:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(log), step):
            yield log[start : start + step]

    return b"".join([chunk async for chunk in render(chunks(), timestamps=timestamps)])


def test_a_stamp_has_nanoseconds_and_is_utc() -> None:
    assert stamp(1_795_489_200 * 10**9 + 1) == AT


def test_lines_become_entries_and_an_unfinished_one_waits() -> None:
    entries = Entries("stdout")
    assert entries.take(b"one\ntwo\nthr", AT) == AT + b" stdout F one\n" + AT + b" stdout F two\n"
    assert entries.take(b"ee\n", AT) == AT + b" stdout F three\n"
    assert entries.take(b"last", AT) == b""
    assert entries.end(AT) == AT + b" stdout F last\n"
    assert entries.end(AT) == b""


def test_a_line_without_end_is_written_in_pieces() -> None:
    entries = Entries("stderr")
    piece = entries.take(b"x" * LINE_LIMIT, AT)
    assert piece == AT + b" stderr P " + b"x" * LINE_LIMIT + b"\n"
    assert entries.take(b"y\n", AT) == AT + b" stderr F y\n"


async def test_it_is_read_as_text_with_times_if_asked_for() -> None:
    log = entry(AT, "stdout", b"one") + entry(AT, "stderr", b"two")
    assert await rendered(log) == b"one\ntwo\n"
    assert await rendered(log, timestamps=True) == AT + b" one\n" + AT + b" two\n"


async def test_pieces_of_a_line_are_joined_and_another_stream_does_not_run_into_it() -> None:
    log = entry(AT, "stdout", b"a", whole=False) + entry(AT, "stdout", b"b", whole=False)
    assert await rendered(log + entry(AT, "stdout", b"c")) == b"abc\n"
    assert await rendered(log + entry(AT, "stderr", b"c"), timestamps=True) == AT + b" ab\n" + AT + b" c\n"
    assert await rendered(log) == b"ab\n"


async def test_what_is_not_in_our_form_comes_out_as_it_is() -> None:
    assert await rendered(b"anything\nelse", timestamps=True) == b"anything\nelse\n"


@given(st.binary(max_size=400), st.integers(1, 50))
async def test_reading_never_fails_and_loses_no_line(log: bytes, step: int) -> None:
    assert (await rendered(log, step=step)).count(b"\n") >= log.count(b"\n") - log.count(b" P ")


@given(st.lists(st.binary(max_size=60), max_size=8))
async def test_what_was_printed_is_what_is_read(chunks: list[bytes]) -> None:
    entries = Entries("stdout")
    log = b"".join(entries.take(chunk, AT) for chunk in chunks) + entries.end(AT)
    printed = b"".join(chunks)
    assert await rendered(log) == printed + (b"" if printed.endswith(b"\n") or not printed else b"\n")
