"""A watch through bad weather: cut, quiet, forgotten, refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from gateway.backends.cluster import Change
from gateway.domain.problems import Problem
from tests.cluster.scripted_server import Lists, cluster_of, event, listing, status

PATH = "/api/v1/namespaces/x/configmaps"


async def changes_of(script: Lists, folder: Path, *, count: int, told: list[str] | None = None) -> list[str]:
    """The first changes, as `KIND names`."""

    def report(problem: Problem | None) -> None:
        if told is not None:
            told.append(problem.detail if problem else "")

    async with (
        asyncio.timeout(20),
        cluster_of(script, folder) as cluster,
        aclosing(cluster.watch(PATH, "a=b", report=report)) as changes,
    ):
        return [await _shown(changes) for _ in range(count)]


async def _shown(changes: AsyncIterator[Change]) -> str:
    change = await anext(changes)
    items: list[dict[str, Any]] = change.object.get("items", [change.object])
    return " ".join([change.kind, *(item["metadata"]["name"] for item in items)])


async def test_the_whole_list_comes_first_then_every_change(tmp_path: Path) -> None:
    script = Lists(
        lists=[listing(5, "a", "b")],
        watches=[[event("ADDED", "c", 6), event("MODIFIED", "a", 7), event("DELETED", "b", 8)]],
    )

    assert await changes_of(script, tmp_path, count=4) == ["SYNCED a b", "ADDED c", "MODIFIED a", "DELETED b"]
    assert [one["labelSelector"] for one in script.asked] == ["a=b", "a=b"]


async def test_a_watch_that_ends_goes_on_where_the_last_bookmark_was(tmp_path: Path) -> None:
    script = Lists(
        lists=[listing(5)],
        watches=[[event("ADDED", "a", 6), event("BOOKMARK", "", 40)], [event("ADDED", "b", 41)]],
    )

    assert await changes_of(script, tmp_path, count=3) == ["SYNCED", "ADDED a", "ADDED b"]
    assert [one.get("resourceVersion") for one in script.asked] == [None, "5", "40"]


async def test_a_forgotten_past_is_listed_anew(tmp_path: Path) -> None:
    forgotten = {"type": "ERROR", "object": status(410, "Expired")}
    script = Lists(
        lists=[listing(5, "a"), listing(50, "b"), listing(60, "c")],
        watches=[[event("ADDED", "x", 6), forgotten], 410],
    )

    seen = await changes_of(script, tmp_path, count=4)

    assert seen == ["SYNCED a", "ADDED x", "SYNCED b", "SYNCED c"]


async def test_pages_that_are_forgotten_while_they_are_read_are_read_anew(tmp_path: Path) -> None:
    script = Lists(
        lists=[listing(5, "a", more="m"), 410, listing(7, "b", more="n"), listing(7, "c")], watches=[]
    )

    assert await changes_of(script, tmp_path, count=1) == ["SYNCED b c"]


async def test_an_outage_is_told_once_and_so_is_its_end(tmp_path: Path) -> None:
    script = Lists(lists=[403, 403, listing(5, "a")], watches=[[event("ADDED", "b", 6)]])
    told: list[str] = []

    with capture_logs() as logs:
        seen = await changes_of(script, tmp_path, count=2, told=told)

    assert seen == ["SYNCED a", "ADDED b"]
    assert [line["event"] for line in logs if line["log_level"] != "debug"] == [
        "watch.broken",
        "watch.mended",
    ]
    forbidden = "Kubernetes does not allow this process to list configmaps in x"
    assert told == [forbidden, forbidden, ""]


async def test_an_answer_that_is_no_event_ends_nothing(tmp_path: Path) -> None:
    script = Lists(lists=[listing(5)], watches=[[{"oops": 1}], [event("ADDED", "a", 6)]])

    assert await changes_of(script, tmp_path, count=2) == ["SYNCED", "ADDED a"]


async def test_an_event_of_a_mebibyte_comes_whole(tmp_path: Path) -> None:
    large = event("ADDED", "a", 6)
    large["object"]["data"] = "x" * (1 << 20)
    script = Lists(lists=[listing(5)], watches=[[large, event("ADDED", "b", 7)]])

    assert await changes_of(script, tmp_path, count=3) == ["SYNCED", "ADDED a", "ADDED b"]
