"""Quantities as Kubernetes writes them (`0.2`, `500m`, `256Mi`, `1e3`), as cores and bytes."""

import math
import re
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

CORES_LIMIT = 100_000
MEMORY_LEAST = 1 << 20
"""A mebibyte: below it nothing can start, and the unit was forgotten or is `m`, which means thousandths."""
MEMORY_LIMIT = 1 << 60

_QUANTITY = re.compile(
    r"\+?([0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:([KMGTPE]i|[numkMGTPE])|[eE]([+-]?[0-9]{1,2}))?"
)
_SCALE = {"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3")}
_SCALE |= {unit: Decimal(10) ** (3 * power) for power, unit in enumerate("kMGTPE", 1)}
_SCALE |= {f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)}


def quantity(text: str) -> Decimal:
    """Its value, at least 0. Raises ValueError."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        raise ValueError("is not a quantity such as 0.5, 500m, 256Mi or 1G")
    number, unit, exponent = found.groups()
    return Decimal(number) * (_SCALE[unit] if unit else Decimal(10) ** int(exponent or 0))


def cores(text: str) -> float:
    """CPU cores: more than 0. Raises ValueError."""
    value = quantity(text)
    if not 0 < value <= CORES_LIMIT:
        raise ValueError(f"must be more than 0 and at most {CORES_LIMIT} cores")
    return float(value)


def memory_bytes(text: str) -> int:
    """Bytes of memory, a part of one counting whole. Raises ValueError."""
    value = quantity(text)
    if not MEMORY_LEAST <= value <= MEMORY_LIMIT:
        raise ValueError(
            "must be at least 1Mi and at most 1Ei; a number without a unit means bytes, 'm' thousandths"
        )
    return math.ceil(value)


def _number_text(value: object) -> object:
    """A number in its own digits: clients send `cpu: 0.5` as well as `cpu: "0.5"`."""
    return str(value) if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else value


def _checked(text: str) -> str:
    quantity(text)
    return text


def _checked_cores(text: str) -> str:
    cores(text)
    return text


def _checked_memory(text: str) -> str:
    memory_bytes(text)
    return text


Quantity = Annotated[str, AfterValidator(_checked), BeforeValidator(_number_text)]
Cores = Annotated[str, AfterValidator(_checked_cores), BeforeValidator(_number_text)]
Memory = Annotated[str, AfterValidator(_checked_memory), BeforeValidator(_number_text)]
