"""Query parameters as values. Flags are read leniently, as Go's clients write them; all else that cannot
be read is Invalid."""

from datetime import UTC, datetime

from starlette.datastructures import QueryParams

from gateway.domain.problems import Invalid

TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
"""What Go takes for true; anything else is false."""


def flag(query: QueryParams, name: str) -> bool:
    return query.get(name, "") in TRUE


def whole_number(query: QueryParams, name: str, *, default: int, least: int, most: int) -> int:
    """Raises Invalid unless it lies between `least` and `most`; absent and empty mean the default."""
    text = query.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 19 and least <= int(text) <= most):
        raise Invalid(f"{name}: a number from {least} to {most} is needed", field=name)
    return int(text)


def moment(query: QueryParams, name: str) -> datetime | None:
    """RFC 3339 with a zone. A `+` that came unescaped, and so as a blank, is understood."""
    text = query.get(name, "").strip().replace(" ", "+")
    if not text:
        return None
    try:
        parsed = datetime.fromisoformat(text)
        if parsed.tzinfo is None:
            raise ValueError("no zone")
        return parsed.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Invalid(f"{name}: an RFC 3339 time with a zone is needed", field=name) from error


def words(query: QueryParams, name: str) -> frozenset[str]:
    """All values of a parameter that may be repeated or hold several, separated by commas; in lower case."""
    listed = ",".join(query.getlist(name)).lower().split(",")
    return frozenset(word.strip() for word in listed if word.strip())
