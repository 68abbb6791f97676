"""What is remembered of how long calls took."""

import math

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.durations import BOUNDS_S, Durations, Recent, read_durations

took = st.floats(0, 1e7)


def after(*durations_s: float) -> Recent:
    account = Recent()
    for one in durations_s:
        account.add(one)
    return account


def test_nothing_is_said_after_two_calls_and_something_after_three() -> None:
    assert after(5.0, 5.0).long_s is None
    assert after(5.0, 5.0, 5.0).long_s is not None


@given(st.lists(took, min_size=3, max_size=40))
def test_what_is_told_is_never_off_by_more_than_a_factor_of_two(durations_s: list[float]) -> None:
    account = after(*durations_s)
    account.settle()
    assert account.long_s is not None
    most = max(BOUNDS_S[0], min(max(durations_s), BOUNDS_S[-1]))
    assert account.long_s <= most * 2
    assert account.long_s >= min(*durations_s, BOUNDS_S[-1]) / 2 or min(durations_s) <= BOUNDS_S[0]


def test_a_service_that_becomes_slow_is_soon_known_as_slow_and_the_other_way_round() -> None:
    account = after(*[0.01] * 500)
    assert account.long_s is not None and account.long_s <= BOUNDS_S[0]
    for _ in range(3):
        account.add(300.0)
    assert account.long_s is not None and account.long_s > 100
    for _ in range(60):
        account.add(0.01)
    account.settle()
    assert account.long_s is not None and account.long_s < 1


def test_one_slow_call_among_many_changes_nothing() -> None:
    account = after(*[0.01] * 500, 300.0, *[0.01] * 5)
    account.settle()
    assert account.long_s is not None and account.long_s < 1


@given(st.integers(0, 60))
def test_many_short_calls_at_once_count_as_one_by_one(count: int) -> None:
    one_by_one = Durations().with_one(4.0)
    for _ in range(count):
        one_by_one = one_by_one.with_one(0.001)
    at_once = Durations().with_one(4.0).with_short(count)
    assert all(map(math.isclose, one_by_one.weights, at_once.weights))


@given(
    st.none()
    | st.text()
    | st.lists(st.floats() | st.text() | st.none())
    | st.lists(st.floats(), min_size=len(BOUNDS_S), max_size=len(BOUNDS_S))
)
def test_what_cannot_have_been_kept_is_nothing_known(kept: object) -> None:
    durations = read_durations(kept)
    assert all(weight >= 0 and math.isfinite(weight) for weight in durations.weights)


@given(st.lists(took, max_size=20))
def test_what_was_kept_is_read_back(durations_s: list[float]) -> None:
    durations = after(*durations_s).settle()
    assert read_durations(list(durations.weights)) == durations
