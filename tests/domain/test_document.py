"""The bytes of a definition: JSON or YAML, within bounds."""

import json
from decimal import Decimal

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.domain.document import parse_document
from gateway.domain.problems import Invalid, Problem, TooLarge
from gateway.domain.service import parse_service
from tests.domain.definitions import body, service


def test_json_and_yaml_say_the_same() -> None:
    fields = {"input": [{"path": "inbox/a"}], "environment": {"variables": {"A": "1", "B": ""}}, "cpu": "0.5"}
    whole = json.loads(body(**fields))
    assert parse_service(yaml.safe_dump(whole).encode()) == service(**fields)
    assert parse_service(b"\xef\xbb\xbf \n" + json.dumps(whole, indent=2).encode()) == service(**fields)


@pytest.mark.parametrize(
    "words", ["yes", "2024-01-01", "0123", "1.10", "True", "-5", "0x1F", "1_000", "12:30", "~", "null", ""]
)
def test_yaml_reads_a_plain_word_as_json_would_and_keeps_its_spelling(words: str) -> None:
    value = parse_document(f"a: {words}".encode())["a"]
    expected = {"True": True, "-5": -5, "1.10": Decimal("1.10"), "~": None, "null": None, "": None}
    assert value == expected.get(words, words)
    assert str(value) == str(expected.get(words, words))


def test_quoted_and_tagged_text_of_yaml_stays_text() -> None:
    assert parse_document(b"a: '5'\nb: \"true\"\nc: !!str 5\nd: |\n  null\n") == {
        "a": "5",
        "b": "true",
        "c": "5",
        "d": "null\n",
    }


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "empty"),
        (b" \n ", "empty"),
        (b"\xff\xfe", "not UTF-8 text: byte 0"),
        (b'{"a": 1,\n "b" 2}', "line 2, column 6"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": ' + b"1" * 5000 + b"}", "too long"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"\\udfff": 1}', "surrogate"),
        (b"[1]", "one object"),
        (b'"text"', "one object"),
        (b"just text", "one object"),
        (b"# nothing but a comment", "one YAML document, not 0"),
        (b"a: 1\n---\nb: 2", "one YAML document, not 2"),
        (b"a: [1\nb: 2", "line 2, column"),
        (b"a: \x01", "does not allow"),
        (b"a: &x [1]\nb: *x", "aliases are not read, line 2, column 4"),
        (b"a: !!python/object/apply:os.getcwd []", "tags are not read"),
        (b"a: !!binary aGk=", "tags are not read"),
        (b"? [a]\n: 1", "key of YAML must be text"),
        (b'{"a":' * 30 + b"1" + b"}" * 30, "levels deep"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "levels deep"),
        (b"a: " + b"[" * 500, "levels deep"),
        (b"a: " + b"[" * 5000, "nest"),  # of the parser, where it has a limit of its own
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_cannot_be_read_is_refused_in_one_line_that_says_where(raw: bytes, why: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_document(raw)
    assert why in refused.value.detail
    assert "\n" not in refused.value.detail
    assert len(refused.value.detail) < 300


def test_a_document_of_many_megabytes_or_values_is_too_large() -> None:
    for raw in (
        b"{" + b" " * (5 << 20),
        b'{"a": [' + b"1," * 120_000 + b"1]}",
        b"a: " + b"x" * (2 << 20),
        b"a: [" + b"1," * 60_000 + b"1]",
    ):
        with pytest.raises(TooLarge):
            parse_document(raw)


def test_a_billion_laughs_are_not_laughed() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]
    with pytest.raises(Invalid, match="aliases"):
        parse_document("\n".join(lines).encode())


@given(st.binary(max_size=200))
@example(b'{"name": {"name": []}}')
@example(b"functions: {oscar: [{a: }]}")
def test_any_bytes_are_a_service_or_a_problem(raw: bytes) -> None:
    try:
        parse_service(raw)
    except Problem as problem:
        assert "\n" not in problem.detail


@given(st.text(st.sampled_from("{}[]:,-?!&*|>'\"%@# \na1\t\\~"), max_size=60))
def test_any_text_of_yamls_own_signs_is_read_or_refused(text: str) -> None:
    try:
        parse_document(text.encode())
    except Problem as problem:
        assert "\n" not in problem.detail
