"""Preferences of a client."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.prefer import Preferences, parse_prefer


@pytest.mark.parametrize(
    ("headers", "preferences"),
    [
        ([], Preferences()),
        ([""], Preferences()),
        (["respond-async"], Preferences(respond_async=True)),
        (["Respond-Async, WAIT=10"], Preferences(respond_async=True, wait_s=10)),
        (["respond-async", "wait=10"], Preferences(respond_async=True, wait_s=10)),
        (['wait = "10" ; x=y'], Preferences(wait_s=10)),
        (["wait=10, wait=20"], Preferences(wait_s=10)),
        (["wait=0"], Preferences(wait_s=0)),
        (["wait"], Preferences()),
        (["wait=-1"], Preferences()),
        (["wait=1.5"], Preferences()),
        (["wait=10s"], Preferences()),
        (['wait="10'], Preferences()),
        (["wait=" + "9" * 10], Preferences()),
        (['respond-async=""'], Preferences(respond_async=True)),
        (["respond-async=no"], Preferences()),
        (['foo="a, respond-async"; bar, wait=5'], Preferences(wait_s=5)),
        (['foo="a \\" , wait=1", wait=5'], Preferences(wait_s=5)),
        (["handling=lenient, return=minimal"], Preferences()),
        (["x" * 9000 + ", wait=5"], Preferences()),
    ],
)
def test_preferences_are_read_and_unknown_or_broken_ones_ignored(
    headers: list[str], preferences: Preferences
) -> None:
    assert parse_prefer(headers) == preferences


@given(
    st.lists(
        st.text(st.sampled_from('respond-async,wait=1; "\\\t') | st.characters(), max_size=40), max_size=4
    )
)
def test_no_header_is_refused(headers: list[str]) -> None:
    preferences = parse_prefer(headers)
    assert preferences.wait_s is None or 0 <= preferences.wait_s < 10**9
