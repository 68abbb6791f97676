"""Cursors as text."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.job import Cursor, JobId
from gateway.domain.page import cursor_text, parse_cursor
from gateway.domain.problems import Invalid

CURSOR = Cursor(
    created_at=datetime(2026, 11, 23, 12, 0, 0, 123456, UTC), id=JobId("cowsay-abcdefghij0123456789")
)

moments = st.integers(0, 7_258_118_400_000_000).map(
    lambda microseconds: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
)


@given(moments, st.from_regex(r"[a-z0-9][a-z0-9-]{0,38}-[a-z2-7]{20}", fullmatch=True))
def test_a_cursor_comes_back_exactly(moment: datetime, job: str) -> None:
    cursor = Cursor(created_at=moment, id=JobId(job))
    text = cursor_text(cursor)
    assert parse_cursor(text) == cursor
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@pytest.mark.parametrize(
    "text", ["", "x", "2", "=", "a" * 300, "ü", "Zm9v", cursor_text(CURSOR) + "A", cursor_text(CURSOR)[1:]]
)
def test_garbage_is_refused_and_the_parameter_named(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_cursor(text, field="cursor")
    assert refused.value.field == "cursor"
    assert refused.value.detail.startswith("cursor: ")


def test_a_changed_cursor_is_refused() -> None:
    raw = base64.urlsafe_b64decode(cursor_text(CURSOR) + "==")
    for index in range(len(raw)):
        changed = raw[:index] + bytes([raw[index] ^ 1]) + raw[index + 1 :]
        with pytest.raises(Invalid):
            parse_cursor(base64.urlsafe_b64encode(changed).decode().rstrip("="))


@given(st.text(max_size=80) | st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_any_text_is_a_cursor_or_invalid(text: str) -> None:
    try:
        parse_cursor(text)
    except Invalid as problem:
        assert problem.field == "page"
