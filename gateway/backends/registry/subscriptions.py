"""Subscriptions: which services take an object, found by bucket, so that an event's cost does not grow with
the services."""

from collections import defaultdict

from gateway.backends.registry.protocol import Registry
from gateway.domain.deployed import Deployed
from gateway.domain.matching import takes


class Subscriptions:
    """An index over a registry, made anew when the registry's generation changes."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._generation = -1
        self._by_bucket: dict[str, list[Deployed]] = {}

    def taking(self, bucket: str, key: str) -> list[Deployed]:
        """Every deployed service with an input rule for this object."""
        if self._generation != self._registry.generation():
            self._index()
        return [
            deployed for deployed in self._by_bucket.get(bucket, ()) if takes(deployed.service, bucket, key)
        ]

    def _index(self) -> None:
        self._generation = self._registry.generation()
        by_bucket: defaultdict[str, list[Deployed]] = defaultdict(list)
        for deployed in self._registry.all():
            for bucket in {rule.bucket for rule in deployed.service.input if rule.embedded}:
                by_bucket[bucket].append(deployed)
        self._by_bucket = dict(by_bucket)
