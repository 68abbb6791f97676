"""A part of a definition: how what clients send becomes one of our models. What a part means stands with it.

OSCAR's clients are Go programs and web pages: they send every field of their structs, empty ones as `null`,
`""` or a struct of zeros, spell keys in any case, and add some of their own. All that is read; a value of the
wrong type is not.
"""

from collections.abc import Callable, Mapping, Sized
from decimal import Decimal
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    model_validator,
)

LINE_LIMIT = 1024
ENTRIES_LIMIT = 1000


class Part(BaseModel):
    """Keys match in any case, unknown ones are ignored; null, empty text and empty lists mean "not given"."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, given: object) -> object:
        if not isinstance(given, Mapping):
            return given
        return {key.lower(): value for key, value in given.items() if not _empty(value)}


def _empty(value: object) -> bool:
    return value is None or (isinstance(value, str | list | tuple | Mapping) and not value)


def _null(value: object) -> bool:
    return value is None


def _zero(value: object) -> bool:
    """Whether a Go client means "nothing" by it: null, false, 0, empty, or made of such alone."""
    if isinstance(value, Mapping):
        return all(map(_zero, value.values()))
    return _empty(value) or (isinstance(value, int) and value == 0)


def _none_if_zero(value: object) -> object:
    return None if _zero(value) else value


def _without(unwanted: Callable[[object], bool]) -> Callable[[object], object]:
    def without(value: object) -> object:
        if isinstance(value, list | tuple):
            _require_few(value)
            return [one for one in value if not unwanted(one)]
        if isinstance(value, Mapping):
            _require_few(value)
            return {key: one for key, one in value.items() if not unwanted(one)}
        return value

    return without


def _require_few(entries: Sized) -> None:
    if len(entries) > ENTRIES_LIMIT:
        raise ValueError(f"has more than {ENTRIES_LIMIT} entries")


def _scalar_text(value: object) -> object:
    """Numbers and booleans as they were written: `PORT: 8080` in YAML means the text."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float | Decimal) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def without_nul(text: str) -> str:
    """Text that a file name, a variable and a C string can hold. Raises ValueError."""
    if "\0" in text:
        raise ValueError("holds a NUL character")
    return text


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds control characters")
    return text


NoneIfZero = BeforeValidator(_none_if_zero)
"""Before an optional part: a struct of zeros means none."""
WithoutZeros = BeforeValidator(_without(_zero))
"""Before a list or map of parts: entries of zeros mean nothing."""
WithoutNulls = BeforeValidator(_without(_null))
"""Before a list or map of texts."""
Lower = BeforeValidator(_lower)
Upper = BeforeValidator(_upper)

Text = Annotated[StrictStr, AfterValidator(without_nul), BeforeValidator(_scalar_text)]
"""A value in a map of texts."""
Line = Annotated[StrictStr, Field(max_length=LINE_LIMIT), AfterValidator(_printable)]
"""Text for people or programs on one line."""
Lines = Annotated[tuple[Line, ...], WithoutNulls]
Texts = Annotated[dict[Line, Text], WithoutNulls]
Count = Annotated[StrictInt, Field(ge=0, le=1 << 31)]
