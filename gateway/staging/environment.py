"""The environment: all the variables a script sees. Nothing of the gateway's own environment reaches it."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.domain.definition import Service

EVENT_LIMIT = 100 << 10
"""One variable may hold 128 KiB on Linux; a larger event is in the input file only, bytes."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """What this run is about. `input_file` is the path as the script sees it. A call has no `job`; `event` is
    the job's request body, or the notice of the stored object that `object_key` and `event_at` tell about."""

    input_file: str
    job: str = ""
    event: bytes | None = None
    object_key: str | None = None
    event_at: datetime | None = None


def script_environment(
    service: "Service", occasion: Occasion, *, input_dir: str, output_dir: str, place: Mapping[str, str]
) -> dict[str, str]:
    """Rising precedence: what the `place` it runs in sets (PATH, HOME, ...), the service's secrets, its
    variables, ours."""
    ours = {
        "INPUT_FILE_PATH": occasion.input_file,
        "TMP_INPUT_DIR": input_dir,
        "TMP_OUTPUT_DIR": output_dir,
        "OSCAR_SERVICE_NAME": service.name,
        "OSCAR_SERVICE_TOKEN": service.token,
        "OSCAR_SERVICE_BASE_PATH": "",
        "RESOURCE_ID": platform.node(),
        **_of_job(occasion),
    }
    theirs = service.environment
    return {**place, **theirs.secrets, **theirs.variables, **ours}


def _of_job(occasion: Occasion) -> dict[str, str]:
    found = {}
    if occasion.job:
        found["JOB_UUID"] = occasion.job
    if occasion.object_key is not None:
        found["STORAGE_OBJECT_KEY"] = occasion.object_key
    if occasion.event_at is not None:
        found["EVENT_TIME"] = occasion.event_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    event = _as_text(occasion.event)
    if event is not None:
        found["EVENT"] = event
    return found


def _as_text(event: bytes | None) -> str | None:
    """The event as a variable can hold it, else None."""
    if event is None or len(event) >= EVENT_LIMIT or b"\0" in event:
        return None
    try:
        return event.decode()
    except UnicodeDecodeError:
        return None
