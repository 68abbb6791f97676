"""The chart's lists of settings, from the program's own: `python -m tests.chart.generated` writes them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.settings import Settings

CHART = Path(__file__).parents[2] / "charts" / "oscar-gateway"
VALUES, SCHEMA = CHART / "values.yaml", CHART / "values.schema.json"
EVERY_VALUE = Path(__file__).with_name("every-value.yaml")

FIXED = ("DATA_DIR", "HTTP_HOST", "HTTP_PORT", "KUBECONFIG", "KUBERNETES_NAMESPACE")
"""What the pod's own shape decides: the chart sets them, nobody else."""
_BESIDE = ("DATABASE_URL", "S3_ACCESS_KEY")
"""Secret in a cluster, though nothing at home."""


def secret_names() -> list[str]:
    names = [name.upper() for name, field in Settings.model_fields.items()]
    hidden = {name.upper() for name, field in Settings.model_fields.items() if not field.repr}
    return [name for name in names if name in hidden or name in _BESIDE]


def setting_names() -> list[str]:
    return [name.upper() for name in Settings.model_fields if name.upper() not in (*secret_names(), *FIXED)]


def schema_of(name: str) -> dict[str, Any]:
    """One value's schema: as the program checks it, or empty."""
    found = dict(Settings.model_json_schema()["properties"][name.lower()])
    description = found.pop("description")
    for said in ("title", "default", "format", "minLength"):
        found.pop(said, None)
    if found == {"type": "string"}:
        return {"description": description, "type": "string"}
    if "enum" in found:
        return {"description": description, "enum": sorted({"", *found["enum"]})}
    return {"description": description, "anyOf": [{"const": ""}, found]}


def values_with_lists(text: str) -> str:
    def line(name: str) -> str:
        return f'  # {schema_of(name)["description"]}\n  {name}: ""\n'

    return _with_lists(text, line)


def every_value_with_lists(text: str) -> str:
    return _with_lists(text, lambda name: f"  {name}: {json.dumps(_sample(schema_of(name)))}\n")


def _with_lists(text: str, line: Callable[[str], str]) -> str:
    for group, names in (("secrets", secret_names()), ("settings", setting_names())):
        head, rest = text.split(f"  # generated: {group}\n")
        _, tail = rest.split("  # end\n", 1)
        text = f"{head}  # generated: {group}\n{''.join(map(line, names))}  # end\n{tail}"
    return text


def _sample(schema: dict[str, Any]) -> object:
    """A value that is allowed, and is not the default."""
    if "enum" in schema:
        return schema["enum"][-1]
    if schema.get("type") == "string":
        return "something"
    allowed = schema["anyOf"][1]
    if allowed["type"] == "boolean":
        return False
    least = allowed.get("minimum", allowed.get("exclusiveMinimum", 0))
    return min(least + 7, allowed.get("maximum", least + 7))


def schema_with_lists(schema: dict[str, Any]) -> dict[str, Any]:
    groups = schema["properties"]
    existing = groups["secrets"]["properties"]["existingSecret"]
    secrets = {
        name: {"description": schema_of(name)["description"], "type": "string"} for name in secret_names()
    }
    groups["secrets"]["properties"] = {"existingSecret": existing, **secrets}
    groups["settings"]["properties"] = {name: schema_of(name) for name in setting_names()}
    return schema


def schema_text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    VALUES.write_text(values_with_lists(VALUES.read_text()))
    EVERY_VALUE.write_text(every_value_with_lists(EVERY_VALUE.read_text()))
    SCHEMA.write_text(schema_text(schema_with_lists(json.loads(SCHEMA.read_text()))))
