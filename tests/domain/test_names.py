"""Names: what may be one."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.names import (
    bucket_name,
    label_key,
    label_text,
    label_value,
    service_name,
    shown,
    variable_name,
)


@pytest.mark.parametrize("name", ["a", "0", "cow-say", "a" * 39])
def test_a_service_is_named_like_a_host(name: str) -> None:
    assert service_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "A", "a_b", "a.b", "..", "a/b", "a\0", "a\n", "-a", "a-", "é", "a" * 40]
)
def test_a_service_is_not_named_otherwise(name: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        service_name(name)


@pytest.mark.parametrize("name", ["abc", "a.b-c", "0" * 63])
def test_a_bucket_is_named_as_s3_has_it(name: str) -> None:
    assert bucket_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "ab", "a" * 64, "Abc", "a..b", ".abc", "abc-", "1.2.3.4", "a_b", "a/b", "abc\n"]
)
def test_a_bucket_is_not_named_otherwise(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be a bucket"):
        bucket_name(name)


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "A=B", "Ä", "A\n"])
def test_a_variable_is_named_as_a_shell_reads_it(name: str) -> None:
    assert variable_name("_A1") == "_A1"
    with pytest.raises(ValueError, match="variable"):
        variable_name(name)


def test_labels_are_those_of_kubernetes() -> None:
    for key in ("a", "oscar.grycap/user-service", "A.b_c-1", "a" * 63):
        assert label_key(key) == key
    for key in ("", "/a", "a/", "a/b/c", "A.org/x", "a b", "a" * 64, "a" * 254 + "/b", "a\n"):
        with pytest.raises(ValueError, match="label"):
            label_key(key)
    for value in ("", "a", "cluster_admin"):
        assert label_value(value) == value
    for value in ("a b", "a@b", "-a", "a" * 64, "a\n"):
        with pytest.raises(ValueError, match="label"):
            label_value(value)


@given(st.text(max_size=100))
def test_any_text_can_be_made_a_label_and_shown_on_a_line(text: str) -> None:
    assert label_value(label_text(text)) == label_text(text)
    assert shown(text).isprintable()
    assert len(shown(text)) <= 62


@given(st.text(st.sampled_from("a0-._/"), max_size=300))
def test_the_checks_end_soon_on_any_text(text: str) -> None:
    for check in (service_name, bucket_name, variable_name, label_key, label_value):
        with suppress(ValueError):
            assert check(text) == text
