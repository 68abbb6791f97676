"""The name an input file has: the object's own, as far as a file can have it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.staging.input_name import input_name


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("in/photo.png", "photo.png"),
        ("photo.png", "photo.png"),
        ("a b/ñ +%20.txt", "ñ +%20.txt"),
        ("in/..", "file"),
        (".", "file"),
        ("in//", "in"),
        ("/", "file"),
        ("in/new\nline", "new\nline"),
        ("a\0b", "ab"),
        ("x" * 300 + ".tar.gz", "x" * 252 + ".gz"),
        ("ñ" * 200 + ".png", "ñ" * 125 + ".png"),
        ("x" * 300, "x" * 255),
        ("x." + "y" * 300, "x." + "y" * 253),
    ],
)
def test_it_is_the_keys_last_part_made_fit(key: str, expected: str) -> None:
    assert input_name(key) == expected


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=400))
def test_any_key_gives_a_name_that_stays_in_its_folder(key: str) -> None:
    name = input_name(key)
    assert 1 <= len(name.encode()) <= 255
    assert "/" not in name
    assert "\0" not in name
    assert name not in (".", "..")
