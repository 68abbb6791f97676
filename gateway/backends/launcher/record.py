"""What has to be known of an attempt when its script ended, also by a later life of this process: two files
in its workspace. Blocking."""

import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from gateway.domain.definition import Service
from gateway.domain.environment import Environment
from gateway.domain.job import AttemptId, Ending

RECORD = "attempt.json"
ENDING = "ending.json"


@dataclass(frozen=True, slots=True)
class Record:
    """The service is as it was when the attempt began, without what only its script may see."""

    attempt: AttemptId
    service_uid: str
    service: Service


_RECORDS = TypeAdapter(Record)
_ENDINGS = TypeAdapter(Ending)


def write_record(folder: Path, *, attempt: AttemptId, service_uid: str, service: Service) -> None:
    """Raises OSError."""
    shown = service.model_copy(update={"environment": Environment(), "token": "", "clusters": {}})
    _write(folder / RECORD, _RECORDS.dump_json(Record(attempt, service_uid, shown)))


def read_record(folder: Path) -> Record:
    """Raises OSError, ValueError."""
    return _RECORDS.validate_json((folder / RECORD).read_bytes())


def write_ending(folder: Path, ending: Ending) -> None:
    """Durable when it returns. Raises OSError."""
    _write(folder / ENDING, _ENDINGS.dump_json(ending))


def read_ending(folder: Path) -> Ending | None:
    """None while there is none. Raises OSError, ValueError."""
    try:
        return _ENDINGS.validate_json((folder / ENDING).read_bytes())
    except FileNotFoundError:
        return None


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_suffix(".new")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
