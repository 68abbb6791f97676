"""Which way a call goes, and the reason told for it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.prefer import Preferences
from gateway.domain.routing import DIRECT, Choice, Route, Signals, Why, choose_route

PLAIN = Signals(
    preferences=Preferences(),
    body_bytes=10,
    body_limit=1000,
    direct_limit_s=60.0,
    expected_s=None,
    recent_s=None,
    absent=False,
    cold_s=None,
)


def test_a_call_goes_directly_unless_something_speaks_against_it() -> None:
    assert choose_route(PLAIN) == DIRECT


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"preferences": Preferences(respond_async=True)}, Why.PREFERRED),
        ({"preferences": Preferences(wait_s=5)}, Why.PREFERRED),
        ({"preferences": Preferences(wait_s=5), "recent_s": 6.0}, Why.PREFERRED),
        ({"absent": True}, Why.NO_BACKEND),
        ({"direct_limit_s": 0.0}, Why.SERVICE),
        ({"body_bytes": 1001}, Why.BODY),
        ({"expected_s": 61.0}, Why.EXPECTED),
        ({"expected_s": 61.0, "recent_s": 1.0}, Why.EXPECTED),
        ({"recent_s": 61.0}, Why.RECENT),
        ({"cold_s": 61.0, "recent_s": 1.0}, Why.COLD),
    ],
)
def test_each_reason_makes_it_a_job(change: dict[str, object], why: Why) -> None:
    assert choose_route(replace(PLAIN, **change)) == Choice(Route.JOB, why)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"preferences": Preferences(wait_s=5), "recent_s": 4.0},
        {"body_bytes": 1000},
        {"body_bytes": None},
        {"expected_s": 60.0, "recent_s": 500.0},
        {"recent_s": 60.0},
        {"cold_s": 60.0},
    ],
)
def test_what_stays_within_the_limits_goes_directly(change: dict[str, object]) -> None:
    assert choose_route(replace(PLAIN, **change)).route is Route.DIRECT  # type: ignore[arg-type]


seconds = st.none() | st.floats(0, 1e5)


@given(
    signals=st.builds(
        Signals,
        preferences=st.builds(
            Preferences, respond_async=st.booleans(), wait_s=st.none() | st.integers(0, 99)
        ),
        body_bytes=st.none() | st.integers(0, 2000),
        body_limit=st.just(1000),
        direct_limit_s=st.floats(0, 100),
        expected_s=seconds,
        recent_s=seconds,
        absent=st.booleans(),
        cold_s=seconds,
    )
)
def test_what_cannot_be_answered_directly_never_goes_that_way(signals: Signals) -> None:
    choice = choose_route(signals)
    assert (choice.route is Route.DIRECT) == (choice.why is Why.SHORT)
    if signals.absent or signals.direct_limit_s == 0 or signals.preferences.respond_async:
        assert choice.route is Route.JOB
