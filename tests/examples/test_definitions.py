"""The examples' definitions and images agree with the gateway and with the locks."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.domain.service import parse_service

ROOT = Path(__file__).parents[2]
LOCKS = [
    "requirements.lock",
    "requirements-compile.lock",
    "requirements-examples.lock",
    "requirements-dev.lock",
]
FOLDERS = sorted(path.parent for path in (ROOT / "examples").glob("*/service.yaml"))


def definition(folder: Path) -> dict[str, Any]:
    (entry,) = yaml.safe_load((folder / "service.yaml").read_text())["functions"]["oscar"]
    (service,) = entry.values()
    assert isinstance(service, dict)
    return service


def test_there_are_three_examples() -> None:
    assert [folder.name for folder in FOLDERS] == ["cowsay", "grayscale", "text-to-speech"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_gateway_takes_the_definition_as_clients_send_it(folder: Path) -> None:
    given = definition(folder)
    script = (folder / given["script"]).read_text()
    service = parse_service(json.dumps(given | {"script": script}).encode())
    assert (service.name, service.script) == (folder.name, script)
    assert [(rule.bucket, rule.folder) for rule in service.input] == [(folder.name, "input")]
    assert [(rule.bucket, rule.folder) for rule in service.output] == [(folder.name, "output")]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_an_image_holds_the_locked_version_of_its_tool(folder: Path) -> None:
    locked = re.findall(r"^(\S+==\S+)", (ROOT / "requirements-examples.lock").read_text(), re.MULTILINE)
    (pinned,) = re.findall(r"\S+==\S+", (folder / "Dockerfile").read_text())
    assert pinned in locked


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_host(name: str) -> None:
    assert "://" not in (ROOT / name).read_text()


@pytest.mark.parametrize("name", LOCKS[:-1])
def test_the_development_lock_holds_the_same_versions(name: str) -> None:
    def pinned(lock: str) -> set[str]:
        return set(re.findall(r"^(\S+==\S+)", (ROOT / lock).read_text(), re.MULTILINE))

    assert pinned(name) <= pinned("requirements-dev.lock")
