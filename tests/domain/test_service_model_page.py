"""docs/service-model.md says what the model does."""

import re
from pathlib import Path

from gateway.domain.policy import RANGES, Policy
from gateway.domain.service import Service
from tests.domain.definitions import service

PAGE = (Path(__file__).parents[2] / "docs" / "service-model.md").read_text()


OWN_DEFAULTS = {"expected-seconds": "learned", "calls-live": "`SERVICE_CALLS_LIMIT`"}
"""Where no setting of the annotation's own name stands behind it."""


def table(name: str) -> list[list[str]]:
    """The cells of a marked table's rows, without its head."""
    found = re.search(rf"<!-- {name}: .*?-->\n(.*?)\n<!-- end of {name} -->", PAGE, re.DOTALL)
    assert found is not None
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in found[1].splitlines()[2:]]


def test_the_page_has_every_field_in_the_models_order() -> None:
    assert [row[0] for row in table("fields")] == [f"`{name}`" for name in Service.model_fields]


def test_the_page_says_of_every_field_what_is_done_with_it() -> None:
    for row in table("fields"):
        assert (
            re.match(r"(yes|docker|kept|server|as `visibility`)\b", row[4]) or row[4] == "as `visibility`"
        ), row


def test_the_pages_simple_defaults_are_the_models() -> None:
    least = service().model_dump(mode="json")
    shown = {"": '""', False: "false"}
    for field, kind, default, *_ in table("fields"):
        value = least[field.strip("`")]
        if kind in ("line", "quantity", "boolean") and default != "required":
            assert default == f"`{shown.get(value, value)}`", field
        if default == "required":
            assert Service.model_fields[field.strip("`")].is_required()


def test_the_page_has_every_annotation_with_its_default_and_range() -> None:
    rows = {row[0].strip("`"): row[1:4] for row in table("policy")}
    assert list(rows) == [f"oscar-gateway/{name}" for name in RANGES]
    for name, one in RANGES.items():
        default = getattr(Policy(), one.field)
        told = rows[f"oscar-gateway/{name}"]
        assert told[1:] == [f"{one.least:.0f}", f"{one.most:.0f}"]
        shown = f"`{one.field.upper()}`" if default is None else f"{default:g}"
        assert told[0] == OWN_DEFAULTS.get(name, shown)
