"""Measures: what operators count, in a registry of this app's own. Labels are routes, services and
outcomes, never callers or ids."""

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.api.tallies import Count, Times
from gateway.domain.job import Census

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
UNKNOWN = "-"
"""The label of a service that is not deployed: names that callers make up must not become series."""


class Measures:
    def __init__(self) -> None:
        self._requests = Times(
            "oscar_gateway_request_seconds",
            "Requests by method, route and status, and how long their answers took",
            ["method", "route", "status"],
            bounds_s=BUCKETS_S,
        )
        self._calls = Count(
            "oscar_gateway_calls",
            "Calls of /run by service and outcome: ok, script-failed, client-gone, or a problem's kind",
            ["service", "outcome"],
        )
        self._routes = Count(
            "oscar_gateway_routes", "Calls of /run by the route they took and why", ["route", "reason"]
        )
        self._events = Count(
            "oscar_gateway_events",
            "Notifications at /events by outcome: accepted, nobody's, or a problem's kind",
            ["outcome"],
        )
        self._registry = CollectorRegistry()
        self._tallies: dict[str, Count | Times] = {
            "requests": self._requests,
            "calls": self._calls,
            "routes": self._routes,
            "events": self._events,
        }
        for tally in self._tallies.values():
            self._registry.register(tally)

    def rows(self) -> dict[str, object]:
        """All that was counted, as JSON has it."""
        return {name: tally.rows() for name, tally in self._tallies.items()}

    def take(self, rows: Mapping[str, Any]) -> None:
        """Adds what another counted. Raises KeyError, TypeError, ValueError for what is none of that."""
        for name, tally in self._tallies.items():
            tally.take(rows[name])

    def answered(self, *, method: str, route: str, status: int, took_s: float) -> None:
        """A method that is none of HTTP's common ones is `other`: what callers make up must not become
        series."""
        self._requests.add(took_s, method if method in METHODS else "other", route, str(status))

    def called(self, *, service: str, outcome: str) -> None:
        self._calls.add(service, outcome)

    def routed(self, *, route: str, why: str) -> None:
        self._routes.add(route, why)

    def noticed(self, *, outcome: str) -> None:
        self._events.add(outcome)

    def render(self, census: Census, totals: Mapping[str, int], *, services: int, unreadable: int) -> bytes:
        """All of it in Prometheus's text form, with the numbers of ledger and registry as they are now."""
        registry = CollectorRegistry()
        kept = Gauge(
            "oscar_gateway_services",
            "Services by state: deployed, or unreadable",
            ["state"],
            registry=registry,
        )
        kept.labels("deployed").set(services)
        kept.labels("unreadable").set(unreadable)
        ledger = CollectorRegistry()
        ledger.register(_LedgerNumbers(census, totals))
        return generate_latest(self._registry) + generate_latest(registry) + generate_latest(ledger)


class _LedgerNumbers(Collector):
    def __init__(self, census: Census, totals: Mapping[str, int]) -> None:
        self._census = census
        self._totals = totals

    def collect(self) -> Iterator[Metric]:
        jobs = GaugeMetricFamily("oscar_gateway_jobs", "Jobs in the ledger by state", labels=["state"])
        for state, count in self._census.states.items():
            jobs.add_metric([state.value], count)
        yield jobs
        live = GaugeMetricFamily(
            "oscar_gateway_attempts_live", "Attempts alive by service", labels=["service"]
        )
        for service, count in self._census.live.items():
            live.add_metric([service], count)
        yield live
        for name, count in self._totals.items():
            yield CounterMetricFamily(
                f"oscar_gateway_jobs_{name}", f"Jobs {name} since the ledger was made", value=count
            )
