"""Quantities, as Kubernetes writes them."""

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.quantity import cores, memory_bytes, quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.2", "0.2"),
        ("500m", "0.5"),
        ("1e3", "1000"),
        ("1E3", "1000"),
        ("1E", "1e18"),
        ("2k", "2000"),
        ("1Ki", "1024"),
        ("1.5Gi", "1610612736"),
        ("100u", "0.0001"),
        ("3.", "3"),
        (".5", "0.5"),
        ("+1", "1"),
        ("1e-1", "0.1"),
        ("0", "0"),
    ],
)
def test_a_quantity_is_a_number_with_a_unit(text: str, value: str) -> None:
    assert quantity(text) == Decimal(value)


@pytest.mark.parametrize(
    "text", ["", "one", "-1", "1 Gi", "1GB", "1ki", "1e999", "0x1", "1_0", "٣", "1\n", "Gi", "."]
)
def test_anything_else_is_not(text: str) -> None:
    with pytest.raises(ValueError, match="quantity"):
        quantity(text)


def test_cores_and_bytes_are_bounded() -> None:
    assert cores("250m") == 0.25
    assert memory_bytes("128Mi") == 128 << 20
    assert memory_bytes("1048576.5") == (1 << 20) + 1
    for text in ("0", "0m", "1000001"):
        with pytest.raises(ValueError, match="cores"):
            cores(text)
    for text in ("0", "512", "256m", "2E3Ei"[:3]):
        with pytest.raises(ValueError, match="1Mi"):
            memory_bytes(text)


@given(st.text(max_size=12) | st.from_regex(r"[0-9.]{0,6}[a-zA-Z+-]{0,3}[0-9]{0,3}", fullmatch=True))
def test_any_text_is_a_quantity_or_a_value_error(text: str) -> None:
    for read in (quantity, cores, memory_bytes):
        with suppress(ValueError):
            assert read(text) >= 0
