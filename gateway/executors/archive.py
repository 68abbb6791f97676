"""A workspace as a tar on its way into a container, and a container's output folder on its way back.
Blocking."""

import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from gateway.staging import layout
from gateway.staging.outputs import FILES_LIMIT, printable
from gateway.staging.workspace import Workspace

OVERHEAD = FILES_LIMIT * 4096
"""What a tar of that many files has beside their content, generously, bytes."""


def pack_workspace(workspace: Workspace, target: Path, *, root: str) -> None:
    """Script, configuration and input below `root`, readable by whatever user the image has, and an output
    folder that it may write to. Raises OSError."""
    with tarfile.open(target, "w") as archive:
        inside = PurePosixPath(root.strip("/"))
        for name in ("", PurePosixPath(layout.SCRIPT).parent, layout.INPUT):
            archive.addfile(_folder(inside / name, 0o755))
        archive.addfile(_folder(inside / layout.OUTPUT, 0o777))
        for path in (workspace.script, workspace.root / layout.CONFIG, *workspace.input_dir.iterdir()):
            member = archive.gettarinfo(path, str(inside / path.relative_to(workspace.root)))
            member.mode, member.uid, member.gid, member.uname, member.gname = 0o644, 0, 0, "", ""
            with path.open("rb") as file:
                archive.addfile(member, file)


def unpack_outputs(archive: Path, folder: Path) -> list[str]:
    """Plain files into the emptied folder, at most one more than `FILES_LIMIT`. Returns, a line each, what
    was left out. Raises OSError, also for a torn archive."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    skipped: list[str] = []
    count = 0
    try:
        with tarfile.open(archive, "r:") as members:
            for name, member in _below_first(members):
                target = folder / name
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                elif member.isreg() and count <= FILES_LIMIT:
                    count += 1
                    _unpack(members, member, target)
                elif not member.isreg():
                    skipped.append(f"{printable(str(name))}: not a plain file")
    except tarfile.TarError as error:
        raise OSError("the container engine sent an archive that cannot be read") from error
    return skipped[:FILES_LIMIT]


def _below_first(members: tarfile.TarFile) -> Iterator[tuple[PurePosixPath, tarfile.TarInfo]]:
    """Each member under its name without the first folder; none that would lead out of it. No link is ever
    made, so none can be followed."""
    for member in members:
        parts = PurePosixPath(member.name).parts[1:]
        if parts and ".." not in parts:
            yield PurePosixPath(*parts), member


def _unpack(members: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    source = members.extractfile(member)
    if source is None:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with source, target.open("wb") as file:
        shutil.copyfileobj(source, file)


def _folder(name: PurePosixPath, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(str(name))
    member.type = tarfile.DIRTYPE
    member.mode = mode
    return member
