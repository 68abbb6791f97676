"""A pod call: the words in which the gateway and a synchronous pod talk about one call, over HTTP.

The gateway posts the body as it came, the limit in a header, `Accept: application/octet-stream` for raw
output. An answer of the pod's own says in a header how the call ended; one without it comes from whatever
stands between.
"""

from enum import StrEnum

LIMIT = "oscar-limit-s"
"""Request: how long the script may run, seconds."""
ENDED = "oscar-ended"
"""Answer: one of `PodEnd`."""
POD = "oscar-pod"
"""Answer, of a call that was lost: the pod's name."""
READY_PATH = "/ready"
RAW_TYPE = "application/octet-stream"


class PodEnd(StrEnum):
    ANSWERED = "answered"
    """200: the script ended with status 0; the body is OSCAR's answer."""
    FAILED = "failed"
    """500: it failed, or its output is over a limit; the body is what the caller is to read."""
    LOST = "lost"
    """500: its container ended under it. Whoever sees the container knows why."""
    TIME_LIMIT = "time-limit"
    """504: it was ended at the limit."""
    NOT_STARTED = "not-started"
    """503: nothing was executed."""
    STORAGE_FULL = "storage-full"
    """507: no space for the body; nothing was executed."""


STATUS = {
    PodEnd.ANSWERED: 200,
    PodEnd.FAILED: 500,
    PodEnd.LOST: 500,
    PodEnd.TIME_LIMIT: 504,
    PodEnd.NOT_STARTED: 503,
    PodEnd.STORAGE_FULL: 507,
}
