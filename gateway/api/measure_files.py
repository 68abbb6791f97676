"""Measures of processes that share a port: each writes down its own, and whoever is asked adds up what all
have written. So no number falls from one answer to the next, whoever gives it.

Gives up: who is killed takes with it what it counted within the last `KEEP_EVERY_S`.
"""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import structlog

from gateway.api.measures import Measures
from gateway.private_file import replace_file

log = structlog.get_logger(__name__)

FILE = "measures.json"
KEEP_EVERY_S = 1.0


class MeasureFiles:
    """`own` is the folder of this process, `every` those of all of them. Who is started again goes on from
    what it had written."""

    def __init__(self, measures: Measures, own: Path, every: Sequence[Path]) -> None:
        self._measures = measures
        self._own = own / FILE
        self._every = [folder / FILE for folder in every]
        self._writing = asyncio.Lock()
        self._kept: dict[str, object] = {}
        _take(measures, self._own)

    async def keep(self) -> None:
        """What is counted now, for the others to add up."""
        async with self._writing:
            rows = self._measures.rows()
            if rows != self._kept and await asyncio.to_thread(_write, self._own, rows):
                self._kept = rows

    async def sum(self) -> Measures:
        """Of all processes, as they last wrote it; this one does so first."""
        await self.keep()
        return await asyncio.to_thread(self._read)

    def _read(self) -> Measures:
        summed = Measures()
        for file in self._every:
            _take(summed, file)
        return summed


def _write(file: Path, rows: dict[str, object]) -> bool:
    """Whether it is written."""
    try:
        replace_file(file, json.dumps(rows).encode())
    except OSError as error:
        log.warning("measures.not_kept", why=str(error))
        return False
    return True


def _take(measures: Measures, file: Path) -> None:
    """A file that is not there yet, or of another version, counts nothing."""
    try:
        measures.take(json.loads(file.read_bytes()))
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("measures.not_read", why=str(error))
