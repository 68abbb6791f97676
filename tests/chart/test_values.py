"""Values, schema, every-value and the program's settings say the same."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from gateway.settings import Settings
from tests.chart.generated import (
    CHART,
    EVERY_VALUE,
    FIXED,
    SCHEMA,
    VALUES,
    every_value_with_lists,
    schema_text,
    schema_with_lists,
    secret_names,
    setting_names,
    values_with_lists,
)
from tests.chart.helm import NEEDED, helm, refusal

REFRESH = "run `python -m tests.chart.generated`"


def test_the_lists_of_settings_are_the_programs_own() -> None:
    assert VALUES.read_text() == values_with_lists(VALUES.read_text()), REFRESH
    assert EVERY_VALUE.read_text() == every_value_with_lists(EVERY_VALUE.read_text()), REFRESH
    schema = SCHEMA.read_text()
    assert schema == schema_text(schema_with_lists(json.loads(schema))), REFRESH


def test_every_setting_can_be_reached() -> None:
    names = {name.upper() for name in Settings.model_fields}
    assert names == {*setting_names(), *secret_names(), *FIXED}


def keys_of_values(values: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Of the groups that the schema closes; maps that users fill are one value."""
    yield path
    if isinstance(values, Mapping) and closed_at(path):
        for key, value in values.items():
            yield from keys_of_values(value, (*path, key))


def closed_at(path: tuple[str, ...]) -> bool:
    place = json.loads(SCHEMA.read_text())
    for step in path:
        place = place.get("properties", {}).get(step, {})
    return place.get("additionalProperties") is False


def keys_of_schema(schema: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for key, inner in schema.get("properties", {}).items():
        if (*path, key) != ("global",):
            yield from keys_of_schema(inner, (*path, key))


@pytest.mark.parametrize("file", [VALUES, EVERY_VALUE], ids=lambda file: file.name)
def test_no_key_is_missing_from_values_schema_or_every_value(file: Any) -> None:
    assert set(keys_of_values(yaml.safe_load(file.read_text()))) == set(
        keys_of_schema(json.loads(SCHEMA.read_text()))
    )


def test_every_value_is_another_than_the_default() -> None:
    default, every = (yaml.safe_load(file.read_text()) for file in (VALUES, EVERY_VALUE))

    def same(one: Any, other: Any, path: str = "") -> Iterator[str]:
        if isinstance(one, dict) and isinstance(other, dict) and one:
            for key in one:
                yield from same(one[key], other.get(key), f"{path}.{key}")
        elif one == other:
            yield path

    assert list(same(default, every)) == []


def test_every_value_and_group_is_described_and_every_group_closed() -> None:
    def walk(schema: Mapping[str, Any], path: str) -> Iterator[str]:
        if not schema.get("description"):
            yield f"{path}: no description"
        if "properties" in schema and schema.get("additionalProperties") is not False:
            yield f"{path}: open"
        for key, inner in schema.get("properties", {}).items():
            yield from walk(inner, f"{path}.{key}")

    assert list(walk(json.loads(SCHEMA.read_text()), "")) == []


@pytest.mark.services
class TestHelm:
    def test_lint_finds_nothing(self) -> None:
        done = helm("lint", "--strict", str(CHART), "--values", str(EVERY_VALUE))
        assert done.returncode == 0, done.stdout

    @pytest.mark.parametrize(
        ("values", "told"),
        [
            ({"gatway": {}}, "gatway"),
            ({"settings": {"CALL_LIMIT": 3}}, "CALL_LIMIT"),
            ({"settings": {"CALL_LIMIT_S": -1}}, "CALL_LIMIT_S"),
            ({"settings": {"LOG_FORMAT": "xml"}}, "LOG_FORMAT"),
            ({"gateway": {"replicas": "two"}}, "replicas"),
        ],
    )
    def test_a_value_that_is_none_is_refused_by_its_name(self, values: dict[str, Any], told: str) -> None:
        assert told in refusal({**NEEDED, **values})

    @pytest.mark.parametrize("missing", ["secrets.DATABASE_URL", "secrets.QUEUE_URL", "settings.OBJECTS_URL"])
    def test_without_database_broker_and_store_nothing_is_installed(self, missing: str) -> None:
        group, _, name = missing.partition(".")
        values = {**NEEDED, group: {key: one for key, one in NEEDED[group].items() if key != name}}
        assert f"{missing} is needed" in refusal(values)
