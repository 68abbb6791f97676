#!/usr/bin/python3
"""Writes a one-layer image archive (docker-archive form) without any daemon or registry.

mkimage --name NAME:TAG --out X.tar [--rootfs DIR] [--file SRC:DST]... [--dir PATH]... [--tmp]
        [--symlink TARGET:LINK]... [--entrypoint A --entrypoint B] [--cmd A] [--env K=V]
        [--user U] [--workdir D]
`ctr -n k8s.io images import X.tar` then makes NAME:TAG known to the kubelet.
"""

import argparse
import hashlib
import io
import json
import tarfile
from pathlib import Path

PROGRAMS = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--rootfs", type=Path)
    for option in ("file", "dir", "symlink", "entrypoint", "cmd", "env"):
        parser.add_argument(f"--{option}", action="append", default=[])
    parser.add_argument("--tmp", action="store_true", help="a world-writable temporary directory")
    parser.add_argument("--user", default="")
    parser.add_argument("--workdir", default="/")
    return parser.parse_args()


class Layer:
    """A layer's tar while it is written; the folders above what is put into it come by themselves."""

    def __init__(self, tar):
        self._tar = tar
        self._there = set()

    def copy(self, rootfs):
        for path in sorted(rootfs.iterdir()):
            self._tar.add(path, arcname=path.name)
            self._there.add(path.name)

    def make_folder(self, path, mode=0o755):
        path = path.strip("/")
        if path in self._there:
            return
        self._make_parents(path)
        self._there.add(path)
        member = tarfile.TarInfo(path)
        member.type, member.mode = tarfile.DIRTYPE, mode
        self._tar.addfile(member)

    def add_program(self, source, target):
        self._make_parents(target)
        member = self._tar.gettarinfo(source, arcname=target.strip("/"))
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.mode |= 0o755
        with Path(source).open("rb") as content:
            self._tar.addfile(member, content)

    def link(self, target, name):
        self._make_parents(name)
        member = tarfile.TarInfo(name.strip("/"))
        member.type, member.linkname = tarfile.SYMTYPE, target
        self._tar.addfile(member)

    def _make_parents(self, path):
        parts = path.strip("/").split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            self.make_folder("/".join(parts[:depth]))


def write_layer(asked, path):
    """Its digest."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        layer = Layer(tar)
        if asked.rootfs:
            layer.copy(asked.rootfs)
        for folder in asked.dir:
            layer.make_folder(folder)
        if asked.tmp:
            layer.make_folder("tmp", 0o1777)
        for file in asked.file:
            layer.add_program(*file.rsplit(":", 1))
        for link in asked.symlink:
            layer.link(*link.rsplit(":", 1))
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def configuration(asked, digest):
    return {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "config": {
            "Env": [PROGRAMS, *asked.env],
            "Entrypoint": asked.entrypoint or None,
            "Cmd": asked.cmd or None,
            "User": asked.user,
            "WorkingDir": asked.workdir,
        },
    }


def main():
    asked = arguments()
    layer = asked.out.with_name(f"{asked.out.name}.layer")
    digest = write_layer(asked, layer)
    config = json.dumps(configuration(asked, digest)).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [asked.name], "Layers": [f"{digest}/layer.tar"]}]
    with tarfile.open(asked.out, "w") as archive:
        for name, content in ((config_name, config), ("manifest.json", json.dumps(manifest).encode())):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        archive.add(layer, arcname=f"{digest}/layer.tar")
    layer.unlink()
    print(asked.name, f"layer sha256:{digest[:12]}", asked.out.stat().st_size, "bytes")


main()
