"""Real Helm: `HELM` names it, or it is built once by scripts/helm and kept."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.generated import CHART

SCRIPT = Path(__file__).parents[2] / "scripts" / "helm"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "oscar-gateway" / "bin"
NEEDED = {
    "secrets": {"DATABASE_URL": "postgresql://db/x", "QUEUE_URL": "amqp://mq/"},
    "settings": {"OBJECTS_URL": "http://store:9000"},
}

Object = dict[str, Any]


def helm(*arguments: str, values: Mapping[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    """Skips where there is none and none can be built; in CI it fails."""
    command = [
        os.environ.get("HELM") or _built(),
        *arguments,
        *(["--values", "-"] if values is not None else []),
    ]
    given = json.dumps(dict(values or {}))
    return subprocess.run(command, check=False, input=given, capture_output=True, text=True, timeout=60)


def render(values: Mapping[str, Any] = NEEDED, *, release: str = "og") -> list[Object]:
    """Every object, as `helm template` makes them."""
    done = helm("template", release, str(CHART), "-n", "system", values=values)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def refusal(values: Mapping[str, Any]) -> str:
    """What Helm says to values it does not take."""
    done = helm("template", "og", str(CHART), values=values)
    assert done.returncode != 0
    return done.stderr


def one(objects: list[Object], kind: str, name: str) -> Object:
    (found,) = [each for each in objects if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def _built() -> str:
    if sorted(CACHE.glob("helm-v*")) or (shutil.which("go") and os.environ.get("CI")):
        return str(SCRIPT)
    if os.environ.get("CI"):
        pytest.fail("Helm is needed, or go to build it")
    pytest.skip("no Helm here: scripts/helm builds it")
