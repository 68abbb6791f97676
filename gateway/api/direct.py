"""A direct call: what is known of it from its head to its end, but not how it is answered."""

import secrets
from dataclasses import dataclass, field
from itertools import count
from time import perf_counter

from gateway.actions.learn_durations import learn_duration
from gateway.actions.limit_call import call_limit_s
from gateway.api.asked import Asked
from gateway.backends.connect import Backends
from gateway.backends.invoker.protocol import Call, Reply, Spent
from gateway.domain.body import Body
from gateway.domain.deployed import Deployed
from gateway.domain.headers import Headers

_LIFE = secrets.token_hex(8)
_NUMBERS = count(1)


@dataclass(slots=True)
class Direct:
    """`route` is the header that tells the client its route; `cold` if nothing of the service ran when it was
    chosen; `began` by the clock of `perf_counter`; `own` are headers to pass on beside what is asked;
    `queue_s` is how long it waited for its place."""

    deployed: Deployed
    asked: Asked
    request_id: bytes
    query: bytes
    route: tuple[bytes, bytes]
    cold: bool
    began: float
    own: Headers = field(default_factory=list)
    queue_s: float = 0.0


def new_call(backends: Backends, direct: Direct, body: Body, kept: dict[str, bytes] | None = None) -> Call:
    """For the invoker; it leaves no trace in the ledger."""
    asked, deployed = direct.asked, direct.deployed
    limit_s = call_limit_s(backends, deployed)
    return Call(
        f"call-{_LIFE}-{next(_NUMBERS)}",
        deployed,
        body,
        asked.passed_on,
        direct.query,
        asked.raw,
        limit_s,
        direct.request_id,
        kept,
        direct.own,
    )


def end_directly(backends: Backends, direct: Direct, reply: Reply) -> str:
    """The outcome, once the client has the answer, and how long it took learned."""
    learn_duration(backends, direct.deployed.uid, perf_counter() - direct.began, cold=direct.cold)
    return "ok" if reply.status < 400 else "script-failed"


def server_timing(direct: Direct, spent: Spent) -> tuple[bytes, bytes]:
    """Server-Timing (W3C), in milliseconds; `gateway` is what nobody else took, reading the body included."""
    queue_s = direct.queue_s + spent.queue_s
    own_s = max(0.0, perf_counter() - direct.began - queue_s - spent.start_s - spent.run_s)
    times = (own_s * 1000, queue_s * 1000, spent.start_s * 1000, spent.run_s * 1000)
    return b"server-timing", b"gateway;dur=%.2f, queue;dur=%.2f, start;dur=%.2f, run;dur=%.2f" % times
