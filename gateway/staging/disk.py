"""The disk's refusals in our own words."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.domain.problems import StorageFull, Unavailable


@contextmanager
def disk_problems(doing: str) -> Iterator[None]:
    """An OSError inside becomes StorageFull where there is no space left, else Unavailable. `doing` ends up
    in the detail."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(f"no space left while {doing}", retry_after_s=60) from error
        raise Unavailable(
            f"failed while {doing}: {error.strerror or 'disk error'}", retry_after_s=1
        ) from error
