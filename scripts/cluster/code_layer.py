#!/usr/bin/python3
"""Puts today's code into an image that was built before, without building it again:
    code_layer.py <folder of the code> <image archive, as `docker save` has it> <name:tag> <archive to write>

The image's last layer is that of the code (see the Dockerfile); all others are only named, so the store
that the result is imported to must have them, from an import of the whole image. Read with the Python that
the image has, or one that compiles alike.
"""

import hashlib
import importlib.util
import io
import json
import py_compile
import sys
import tarfile
import tempfile
from pathlib import Path

HOME = "opt/oscar-gateway/app"
PACKAGES = ("gateway", "workers")
MAGIC_OF_311 = b"\xa7\r\r\n"
OCI = "application/vnd.oci.image"


def code_layer(folder):
    """The layer as a tar: the same bytes for the same sources."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for source in sources(folder):
            path = source.relative_to(folder)
            add(tar, path, source.read_bytes())
            if path.suffix == ".py" and importlib.util.MAGIC_NUMBER == MAGIC_OF_311:
                add(tar, path.parent / "__pycache__" / f"{path.stem}.cpython-311.pyc", compiled(source, path))
    return out.getvalue()


def sources(folder):
    """Of the packages, and the library of what is compiled of them."""
    inside = [file for package in PACKAGES for file in sorted((folder / package).rglob("*"))]
    files = [*inside, *sorted(folder.glob("*.so"))]
    return [file for file in files if "__pycache__" not in file.parts and file.is_file()]


def add(tar, path, content):
    member = tarfile.TarInfo(f"{HOME}/{path}")
    member.size, member.mode = len(content), 0o644
    tar.addfile(member, io.BytesIO(content))


def compiled(source, path):
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "pyc")
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(str(source), str(target), f"/{HOME}/{path}", doraise=True, invalidation_mode=mode)
        return target.read_bytes()


def described(kind, content):
    return {
        "mediaType": f"{OCI}.{kind}",
        "digest": f"sha256:{hashlib.sha256(content).hexdigest()}",
        "size": len(content),
    }


def read(archive):
    """(configuration, sizes of the layers by their place)"""
    with tarfile.open(archive) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))[0]
        sizes = [tar.getmember(name).size for name in manifest["Layers"]]
        return json.load(tar.extractfile(manifest["Config"])), sizes


def main():
    folder, archive, name, out = sys.argv[1:]
    layer = code_layer(Path(folder))
    config, sizes = read(archive)
    below = config["rootfs"]["diff_ids"][:-1]
    last = described("layer.v1.tar", layer)
    config["rootfs"]["diff_ids"] = [*below, last["digest"]]
    config = json.dumps(config).encode()
    layers = [
        {"mediaType": f"{OCI}.layer.v1.tar", "digest": d, "size": s}
        for d, s in zip(below, sizes, strict=False)
    ]
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": described("config.v1+json", config),
    }
    manifest = json.dumps(manifest | {"layers": [*layers, last]}).encode()
    named = described("manifest.v1+json", manifest) | {"annotations": {"io.containerd.image.name": name}}
    files = {
        "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
        "index.json": json.dumps({"schemaVersion": 2, "manifests": [named]}).encode(),
        **{f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}": blob for blob in (layer, config, manifest)},
    }
    with tarfile.open(out, "w") as tar:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


main()
