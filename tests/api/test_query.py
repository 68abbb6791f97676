"""Query parameters and JSON bodies: whatever is sent is a value or Invalid."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from gateway.api import json_body
from gateway.api.query import flag, moment, whole_number, words
from gateway.domain.problems import Invalid

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@given(st.text())
def test_any_text_is_a_flag(text: str) -> None:
    assert flag(QueryParams({"x": text}), "x") is (text in {"1", "t", "T", "true", "True", "TRUE"})


@given(st.text())
def test_any_text_is_a_number_in_its_bounds_or_invalid(text: str) -> None:
    try:
        assert 1 <= whole_number(QueryParams({"x": text}), "x", default=5, least=1, most=9) <= 9
    except Invalid as problem:
        assert problem.field == "x"


@given(st.text())
def test_any_text_is_a_time_or_invalid(text: str) -> None:
    try:
        found = moment(QueryParams({"x": text}), "x")
    except Invalid as problem:
        assert problem.field == "x"
    else:
        assert found is None or found.tzinfo is UTC


@pytest.mark.parametrize(
    "text", ["2026-11-24T04:00:00+01:00", "2026-11-24T04:00:00 01:00", "2026-11-24T03:00:00Z"]
)
def test_times_come_in_any_zone_also_unescaped(text: str) -> None:
    assert moment(QueryParams({"x": text}), "x") == datetime(2026, 11, 24, 3, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-11-24T03:00:00", "yesterday", "0001-01-01T00:00:00+23:59"])
def test_times_without_a_zone_or_sense_are_invalid(text: str) -> None:
    with pytest.raises(Invalid):
        moment(QueryParams({"x": text}), "x")


def test_words_may_be_repeated_and_listed() -> None:
    assert words(QueryParams("x=a,B&x=c&x=&y=d"), "x") == {"a", "b", "c"}


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_invalid(raw: bytes) -> None:
    try:
        assert isinstance(json_body.parse_object(raw), dict)
    except Invalid as problem:
        assert "\n" not in problem.detail


@given(JSON_VALUES)
def test_any_json_yields_values_of_the_asked_types_or_invalid(value: object) -> None:
    for read in (json_body.text, json_body.texts, json_body.number, json_body.text_map):
        try:
            read(json_body.parse_object(json.dumps({"X": value}).encode()), "x")
        except Invalid as problem:
            assert problem.field == "x"


def test_keys_come_in_any_case_and_null_means_not_given() -> None:
    body = json_body.parse_object(b'\xef\xbb\xbf{"Bucket_Name": "b", "VISIBILITY": null}')
    assert body == {"bucket_name": "b"}


def test_json_too_deep_to_read_is_invalid() -> None:
    with pytest.raises(Invalid):
        json_body.parse_object(b"[" * 100_000)
