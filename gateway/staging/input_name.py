"""The name a stored object has in a script's input folder: its own, as far as a file can have it."""

from pathlib import PurePosixPath

NAME_LIMIT = 255
"""Of a file's name on Linux, bytes."""
SUFFIX_LIMIT = 32


def input_name(key: str) -> str:
    """The last part of the key. What is too long is cut before its suffix, by which scripts tell kinds of
    files."""
    name = key.rstrip("/").rpartition("/")[2].replace("\0", "")
    if name in ("", ".", ".."):
        return "file"
    if len(name.encode()) <= NAME_LIMIT:
        return name
    suffix = PurePosixPath(name).suffix
    if len(suffix.encode()) > SUFFIX_LIMIT:
        suffix = ""
    stem = name.removesuffix(suffix).encode()[: NAME_LIMIT - len(suffix.encode())]
    return stem.decode(errors="ignore") + suffix
