"""Watch the input buckets: have the store tell of new files where services wait for them. It is the fast
path only: what the store cannot or will not tell, the reconciler finds."""

from collections import defaultdict
from collections.abc import Iterable

import structlog

from gateway.backends.connect import Backends
from gateway.domain.matching import input_prefixes
from gateway.domain.problems import NotFound, Problem

log = structlog.get_logger(__name__)


async def watch_buckets(backends: Backends, *, only: Iterable[str] | None = None) -> None:
    """Bring the store's rules in line with the services that are deployed, for every bucket that any of them
    reads, or for these alone, of which there may be some that nobody reads any more. Raises nothing that a
    later time may mend."""
    prefixes: defaultdict[str, set[str]] = defaultdict(set)
    for deployed in list(backends.registry.all()):
        for bucket, prefix, _ in input_prefixes(deployed.service):
            prefixes[bucket].add(prefix)
    for bucket in list(prefixes) if only is None else only:
        try:
            await backends.objects.watch(bucket, prefixes[bucket])
        except NotFound:
            log.debug("bucket.missing", bucket=bucket)
        except Problem as problem:
            log.warning("bucket.unwatched", bucket=bucket, why=problem.detail)
