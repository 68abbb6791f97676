"""The engine's log stream, read however it is cut and whatever it holds."""

import contextlib
import struct
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.problems import Unavailable
from gateway.executors.engine import FRAME_LIMIT, read_frames

AT = b"2026-11-24T03:00:00.1Z"


def frame(stream: int, text: bytes) -> bytes:
    content = AT + b" " + text
    return struct.pack(">BxxxL", stream, len(content)) + content


async def read(raw: bytes, step: int = 5) -> list[tuple[str, bytes, bytes]]:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(raw), step):
            yield raw[start : start + step]

    return [found async for found in read_frames(chunks())]


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=50)), max_size=6), st.integers(1, 40))
async def test_every_frame_is_read_however_the_stream_is_cut(
    sent: list[tuple[int, bytes]], step: int
) -> None:
    names = {1: "stdout", 2: "stderr"}
    expected = [(names[stream], AT, text) for stream, text in sent]
    assert await read(b"".join(frame(*one) for one in sent), step) == expected


async def test_a_torn_end_is_left_out() -> None:
    assert await read(frame(1, b"whole\n") + frame(1, b"torn\n")[:-3]) == [("stdout", AT, b"whole\n")]


async def test_a_frame_larger_than_any_line_is_refused() -> None:
    with pytest.raises(Unavailable):
        await read(struct.pack(">BxxxL", 1, FRAME_LIMIT + 1))


@given(st.binary(max_size=200))
async def test_anything_else_is_refused_in_our_words(raw: bytes) -> None:
    with contextlib.suppress(Unavailable):
        await read(raw)
