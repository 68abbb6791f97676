"""Learn how long a service's calls take, and keep it across restarts. Each process learns from the calls it
answers; what is kept is what the last of them wrote."""

from gateway.backends.connect import Backends
from gateway.domain.durations import Recent, read_durations
from gateway.domain.problems import Problem

COLD = "/cold"
"""Behind a service's uid: the account of its calls that found nothing of it running."""


def recent(backends: Backends, uid: str, *, cold: bool = False) -> float | None:
    """What nine in ten of the recent calls did not pass, in seconds; None while too few are known."""
    known = backends.learned.accounts.get(uid + COLD if cold else uid)
    return None if known is None else known.long_s


def learn_duration(backends: Backends, uid: str, took_s: float, *, cold: bool = False) -> None:
    """One more call took so long. Also a call cut at its limit: it took at least that."""
    name = uid + COLD if cold else uid
    backends.learned.accounts.setdefault(name, Recent()).add(took_s)
    backends.learned.changed.add(name)


async def recall_durations(backends: Backends) -> None:
    """What was kept, before the first call. Raises Unavailable."""
    for name, weights in (await backends.ledger.durations()).items():
        account = Recent(read_durations(list(weights)))
        account.settle()
        backends.learned.accounts[name] = account


async def keep_durations(backends: Backends) -> None:
    """What changed since the last time. Raises Unavailable; then it is kept the next time."""
    learned = backends.learned
    changed, learned.changed = learned.changed, set()
    if not changed:
        return
    try:
        await backends.ledger.keep_durations(
            {name: learned.accounts[name].settle().weights for name in sorted(changed)}
        )
    except Problem:
        learned.changed |= changed
        raise
