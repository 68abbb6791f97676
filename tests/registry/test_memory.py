"""Services in memory, whatever order their news come in."""

import itertools
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.backends.registry.kubernetes.config_map import UID, Entry
from gateway.backends.registry.kubernetes.memory import Memory
from gateway.domain.deployed import Deployed
from gateway.domain.service import Service

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def entry(name: str, *, version: int, uid: str = "a") -> Entry:
    service = Service(name=name, image=f"i{version}", script="s")
    return Entry(Deployed(service, uid, NOW, NOW), f"{name}-{uid}", version, {}, {UID: uid}, "")


def version_of(memory: Memory, name: str) -> int | None:
    standing = memory.entry(name)
    return standing.version if standing else None


@pytest.mark.parametrize("order", list(itertools.permutations([1, 2, 3])))
def test_the_newest_version_stands_in_whatever_order_they_come(order: tuple[int, ...]) -> None:
    memory = Memory()
    for version in order:
        memory.put(entry("a", version=version))

    assert version_of(memory, "a") == 3


def test_what_was_deleted_does_not_come_back_with_an_old_event_or_list() -> None:
    memory = Memory()
    memory.put(entry("a", version=5))
    memory.drop("a", "a-a")
    memory.put(entry("a", version=5))
    memory.replace([entry("a", version=6)], keep=frozenset(), version=8)
    assert memory.get("a") is None

    memory.put(entry("a", version=9, uid="b"))
    memory.drop("a", "a-a", version=10)
    assert version_of(memory, "a") == 9


def test_one_that_lost_its_label_for_a_while_comes_back() -> None:
    memory = Memory()
    memory.put(entry("a", version=5))
    memory.drop("a", "a-a", version=6)
    memory.put(entry("a", version=7))

    assert version_of(memory, "a") == 7


def test_a_list_replaces_all_but_what_is_newer_or_to_be_kept() -> None:
    memory = Memory()
    for name, version in (("gone", 3), ("kept", 4), ("newer", 20), ("changed", 5)):
        memory.put(entry(name, version=version))

    memory.replace(
        [entry("changed", version=9), entry("new", version=8)], keep=frozenset({"kept"}), version=10
    )

    assert [one.service.name for one in memory.ordered()] == ["changed", "kept", "new", "newer"]
    assert version_of(memory, "changed") == 9


def test_the_generation_grows_when_something_changed_and_only_then() -> None:
    memory = Memory()
    memory.put(entry("a", version=5))
    generation = memory.generation
    memory.put(entry("a", version=5))
    memory.drop("b", "b-b")
    memory.replace([entry("a", version=5)], keep=frozenset(), version=9)
    assert memory.generation == generation
    memory.drop("a", "a-a")
    assert memory.generation > generation


def test_inputs_of_a_service_of_oscar_count_from_when_it_was_seen_first() -> None:
    memory = Memory()
    first = replace(entry("a", version=5), annotations={})
    memory.put(replace(first, deployed=replace(first.deployed, inputs_since={"a/in": NOW})))
    later = {"a/in": NOW.replace(year=2031), "a/new": NOW.replace(year=2031)}
    memory.put(replace(first, version=6, deployed=replace(first.deployed, inputs_since=later)))

    standing = memory.get("a")
    assert standing is not None
    assert standing.inputs_since == {"a/in": NOW, "a/new": NOW.replace(year=2031)}


def test_a_service_is_found_among_ten_thousand_as_fast_as_alone() -> None:
    alone, many = Memory(), Memory()
    alone.put(entry("s00000", version=1))
    many.replace([entry(f"s{n:05}", version=n + 1) for n in range(10_000)], keep=frozenset(), version=10_001)
    assert len(many.ordered()) == 10_000

    def fastest(memory: Memory) -> float:
        return min(_time_of(memory) for _ in range(7))

    assert fastest(many) < 5 * fastest(alone)


def _time_of(memory: Memory) -> float:
    begun = time.perf_counter()
    for _ in range(2000):
        memory.get("s00000")
    return time.perf_counter() - begun
