#!/usr/bin/python3
"""Writes a one-layer image archive (docker-archive form) without any daemon or registry.

mkimage --name NAME:TAG --out X.tar [--rootfs DIR] [--file SRC:DST]... [--dir PATH]... [--tmp] [--symlink TARGET:LINK]...
        [--entrypoint A --entrypoint B] [--cmd A] [--env K=V] [--user U] [--workdir D]
`ctr -n k8s.io images import X.tar` then makes NAME:TAG known to the kubelet.
"""

import argparse
import hashlib
import io
import json
import os
import tarfile

p = argparse.ArgumentParser()
p.add_argument("--name", required=True)
p.add_argument("--out", required=True)
p.add_argument("--rootfs")
for o in ("file", "dir", "symlink", "entrypoint", "cmd", "env"):
    p.add_argument("--" + o, action="append", default=[])
p.add_argument("--tmp", action="store_true", help="a world-writable temporary directory")
p.add_argument("--user", default="")
p.add_argument("--workdir", default="/")
a = p.parse_args()

layer = a.out + ".layer"
seen = set()


def parents(t, path):
    parts = path.strip("/").split("/")[:-1]
    for i in range(1, len(parts) + 1):
        mkdir(t, "/".join(parts[:i]))


def mkdir(t, path, mode=0o755):
    path = path.strip("/")
    if path in seen:
        return
    parents(t, path)
    seen.add(path)
    ti = tarfile.TarInfo(path)
    ti.type, ti.mode = tarfile.DIRTYPE, mode
    t.addfile(ti)


with tarfile.open(layer, "w", format=tarfile.PAX_FORMAT) as t:
    if a.rootfs:
        for name in sorted(os.listdir(a.rootfs)):
            t.add(os.path.join(a.rootfs, name), arcname=name)
            seen.add(name)
    for d in a.dir:
        mkdir(t, d)
    if a.tmp:
        mkdir(t, "tmp", 0o1777)
    for f in a.file:
        src, dst = f.rsplit(":", 1)
        parents(t, dst)
        ti = t.gettarinfo(src, arcname=dst.strip("/"))
        ti.uid = ti.gid = 0
        ti.uname = ti.gname = ""
        ti.mode |= 0o755
        with open(src, "rb") as h:
            t.addfile(ti, h)
    for s in a.symlink:
        target, link = s.rsplit(":", 1)
        parents(t, link)
        ti = tarfile.TarInfo(link.strip("/"))
        ti.type, ti.linkname = tarfile.SYMTYPE, target
        t.addfile(ti)

h = hashlib.sha256()
with open(layer, "rb") as f:
    for b in iter(lambda: f.read(1 << 20), b""):
        h.update(b)
diff = h.hexdigest()
cfg = {
    "architecture": "amd64",
    "os": "linux",
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + diff]},
    "config": {
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"] + a.env,
        "Entrypoint": a.entrypoint or None,
        "Cmd": a.cmd or None,
        "User": a.user,
        "WorkingDir": a.workdir,
    },
}
cfgb = json.dumps(cfg).encode()
cfgn = hashlib.sha256(cfgb).hexdigest() + ".json"
man = json.dumps([{"Config": cfgn, "RepoTags": [a.name], "Layers": [diff + "/layer.tar"]}]).encode()
with tarfile.open(a.out, "w") as o:
    for name, data in ((cfgn, cfgb), ("manifest.json", man)):
        ti = tarfile.TarInfo(name)
        ti.size = len(data)
        o.addfile(ti, io.BytesIO(data))
    o.add(layer, arcname=diff + "/layer.tar")
os.unlink(layer)
print(a.name, "layer sha256:" + diff[:12], os.path.getsize(a.out), "bytes")
