"""Idempotency keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.idempotency import parse_idempotency_key
from gateway.domain.problems import Invalid


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ('"8e03978e-40d5-43dd-bc93-6894a57f9324"', "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ('  "with blanks, commas"  ', "with blanks, commas"),
        ('"a \\"quoted\\" \\\\ key"', 'a "quoted" \\ key'),
        ('"key"; purpose=test', "key"),
        ("dGVzdA==", "dGVzdA=="),
        ('"' + "x" * 255 + '"', "x" * 255),
    ],
)
def test_a_key_is_a_quoted_string_or_bare(value: str, key: str) -> None:
    assert parse_idempotency_key(value) == key


@pytest.mark.parametrize(
    "value",
    [
        "",
        '""',
        '"',
        '"open',
        "two words",
        "a,b",
        "a;b",
        '"a" "b"',
        "ü",
        '"ü"',
        '"a\\n"',
        "a\0",
        "x" * 256,
        '"' + "x" * 256 + '"',
    ],
)
def test_anything_else_is_refused(value: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_idempotency_key(value)
    assert refused.value.field == "Idempotency-Key"


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=255))
def test_every_printable_ascii_text_can_be_a_quoted_key(key: str) -> None:
    quoted = key.replace("\\", "\\\\").replace('"', '\\"')
    assert parse_idempotency_key(f'"{quoted}"') == key


@given(st.text(st.sampled_from('"\\;, a') | st.characters(), max_size=60))
def test_any_value_is_a_key_or_refused(value: str) -> None:
    try:
        key = parse_idempotency_key(value)
    except Invalid:
        return
    assert key.isascii()
    assert 1 <= len(key) <= 255
