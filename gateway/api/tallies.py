"""Tallies: counters and histograms that cost an addition a call. Prometheus's own lock, look and convert
for what many threads may do; these are one loop's."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector


class Count(Collector):
    def __init__(self, name: str, meaning: str, labels: Sequence[str]) -> None:
        self._name = name
        self._meaning = meaning
        self._labels = labels
        self._counts: Counter[tuple[str, ...]] = Counter()

    def add(self, *labels: str) -> None:
        """One more, of these values of the labels."""
        self._counts[labels] += 1

    def rows(self) -> list[Any]:
        """All of it as JSON has it: `[[labels, count], …]`."""
        return [[labels, count] for labels, count in self._counts.items()]

    def take(self, rows: Sequence[Any]) -> None:
        """Adds another's rows."""
        for labels, count in rows:
            self._counts[tuple(labels)] += count

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self._name, self._meaning, labels=self._labels)
        for labels, count in self._counts.items():
            family.add_metric(labels, count)
        yield family


class Times(Collector):
    """`bounds_s` are the buckets' upper ones, in seconds, rising."""

    def __init__(self, name: str, meaning: str, labels: Sequence[str], *, bounds_s: Sequence[float]) -> None:
        self._name = name
        self._meaning = meaning
        self._labels = labels
        self._bounds_s = bounds_s
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums_s: dict[tuple[str, ...], float] = {}

    def add(self, took_s: float, *labels: str) -> None:
        counts = self._counts.get(labels)
        if counts is None:
            counts = self._counts[labels] = [0] * (len(self._bounds_s) + 1)
            self._sums_s[labels] = 0.0
        counts[bisect_left(self._bounds_s, took_s)] += 1
        self._sums_s[labels] += took_s

    def rows(self) -> list[Any]:
        """All of it as JSON has it: `[[labels, [count, …], sum], …]`."""
        return [[labels, list(counts), self._sums_s[labels]] for labels, counts in self._counts.items()]

    def take(self, rows: Sequence[Any]) -> None:
        """Adds another's rows, of the same buckets."""
        for row, counts, sum_s in rows:
            labels = tuple(row)
            known = self._counts.get(labels, [0] * (len(self._bounds_s) + 1))
            self._counts[labels] = [mine + theirs for mine, theirs in zip(known, counts, strict=True)]
            self._sums_s[labels] = self._sums_s.get(labels, 0.0) + sum_s

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(self._name, self._meaning, labels=self._labels)
        names = [*(f"{float(bound)}" for bound in self._bounds_s), "+Inf"]
        for labels, counts in self._counts.items():
            buckets = list(zip(names, accumulate(counts), strict=True))
            family.add_metric(labels, buckets, self._sums_s[labels])
        yield family
