"""The code of today in an image that was built before."""

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CONFIG = {
    "config": {"Cmd": ["python", "-m", "gateway"]},
    "rootfs": {"diff_ids": ["sha256:base", "sha256:old"]},
}


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """An image archive of two layers, as an engine saves it."""
    manifest = [{"Config": "config.json", "RepoTags": ["a:1"], "Layers": ["base/layer.tar", "old/layer.tar"]}]
    files = {"config.json": json.dumps(CONFIG).encode(), "manifest.json": json.dumps(manifest).encode()}
    with tarfile.open(tmp_path / "built.tar", "w") as tar:
        for name, content in {**files, "base/layer.tar": b"base", "old/layer.tar": b"code"}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return tmp_path / "built.tar"


def renewed(built: Path, name: str = "new.tar") -> dict[str, bytes]:
    out = built.parent / name
    program = ROOT / "scripts" / "cluster" / "code_layer.py"
    command = [sys.executable, str(program), str(ROOT), str(built), "dev.local/ours:dev", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)
    with tarfile.open(out) as tar:
        return {one.name: content.read() for one in tar.getmembers() if (content := tar.extractfile(one))}


def blob(files: dict[str, bytes], described: dict[str, Any]) -> bytes:
    return files[f"blobs/{described['digest'].replace(':', '/')}"]


def manifest_of(files: dict[str, bytes]) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(blob(files, json.loads(files["index.json"])["manifests"][0]))
    return manifest


def test_the_layers_below_are_named_and_not_carried(built: Path) -> None:
    files = renewed(built)
    manifest = manifest_of(files)
    assert [layer["digest"] for layer in manifest["layers"][:-1]] == ["sha256:base"]
    assert manifest["layers"][0]["size"] == len(b"base")
    assert "blobs/sha256/base" not in files
    config = json.loads(blob(files, manifest["config"]))
    assert config["rootfs"]["diff_ids"] == ["sha256:base", manifest["layers"][-1]["digest"]]
    assert config["config"] == CONFIG["config"]


def test_the_image_has_the_name_that_was_asked_for(built: Path) -> None:
    index = json.loads(renewed(built)["index.json"])
    assert index["manifests"][0]["annotations"] == {"io.containerd.image.name": "dev.local/ours:dev"}


def test_the_code_is_there_with_what_python_made_of_it(built: Path) -> None:
    files = renewed(built)
    with tarfile.open(fileobj=io.BytesIO(blob(files, manifest_of(files)["layers"][-1]))) as tar:
        names = set(tar.getnames())
    home = "opt/oscar-gateway/app"
    assert {f"{home}/gateway/__main__.py", f"{home}/workers/__main__.py"} <= names
    compiled = f"{home}/gateway/__pycache__/__main__.cpython-311.pyc"
    assert (compiled in names) == (sys.version_info[:2] == (3, 11))
    assert all("__pycache__" not in name or name.endswith("cpython-311.pyc") for name in names)


def test_the_same_code_is_the_same_layer(built: Path) -> None:
    assert manifest_of(renewed(built, "one.tar")) == manifest_of(renewed(built, "two.tar"))
