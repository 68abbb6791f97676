"""Claims: what opens one attempt's routes, and what does not."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.claim import make_claim, read_claim
from gateway.domain.job import AttemptId
from gateway.domain.problems import Unauthenticated

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)
ATTEMPT = AttemptId("cowsay-abcdefghij0123456789-1")
CLAIM = make_claim("key", ATTEMPT, ends_at=NOW + timedelta(hours=1))


def test_a_claim_names_its_attempt_until_it_ends() -> None:
    assert read_claim("key", CLAIM, now=NOW) == ATTEMPT
    with pytest.raises(Unauthenticated):
        read_claim("key", CLAIM, now=NOW + timedelta(hours=1))


def test_a_claim_made_with_another_key_is_none() -> None:
    for key in ("other", ""):
        with pytest.raises(Unauthenticated):
            read_claim(key, CLAIM, now=NOW)


def test_nothing_is_claimed_with_an_empty_key() -> None:
    with pytest.raises(Unauthenticated):
        read_claim("", make_claim("", ATTEMPT, ends_at=NOW + timedelta(hours=1)), now=NOW)


@pytest.mark.parametrize("place", range(len(CLAIM)))
def test_a_claim_changed_anywhere_is_none(place: int) -> None:
    changed = CLAIM[:place] + ("0" if CLAIM[place] != "0" else "1") + CLAIM[place + 1 :]
    # The last character carries four bits only: another one may stand for the same bytes, but not here.
    with pytest.raises(Unauthenticated):
        read_claim("key", changed, now=NOW)


@given(st.text(max_size=200))
def test_any_text_is_refused_alike(text: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        read_claim("key", text, now=NOW)
    assert refused.value.detail == "the claim is not one of a present attempt"
