"""Listings: pages, folders and markers, by both versions, equal to what sorting all keys would give."""

import itertools
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.backends.objects.embedded.store import EmbeddedObjects, open_embedded
from gateway.backends.objects.protocol import Provider

KEYS = ["a", "b/1", "b/2", "b/c/3", "b0", "d e/+", "é/1", "f"]


@pytest.fixture(scope="module")
def filled(s3: Any) -> str:
    bucket = f"listed-{secrets.token_hex(6)}"
    s3.create_bucket(Bucket=bucket)
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    return bucket


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_every_page_size_gives_the_same_folders(s3: Any, filled: str, operation: str, size: int) -> None:
    pages = s3.get_paginator(operation).paginate(
        Bucket=filled, Delimiter="/", PaginationConfig={"PageSize": size}
    )
    keys, prefixes = [], []
    for page in pages:
        keys += [entry["Key"] for entry in page.get("Contents", ())]
        prefixes += [entry["Prefix"] for entry in page.get("CommonPrefixes", ())]
    assert (keys, prefixes) == (["a", "b0", "f"], ["b/", "d e/", "é/"])


def test_a_folder_is_listed_by_its_prefix(s3: Any, filled: str) -> None:
    page = s3.list_objects_v2(Bucket=filled, Prefix="b/", Delimiter="/")
    assert [entry["Key"] for entry in page["Contents"]] == ["b/1", "b/2"]
    assert [entry["Prefix"] for entry in page["CommonPrefixes"]] == ["b/c/"]
    assert page["KeyCount"] == 3


def test_a_listing_begins_after_a_key(s3: Any, filled: str) -> None:
    page = s3.list_objects_v2(Bucket=filled, StartAfter="b/2", MaxKeys=2)
    assert [entry["Key"] for entry in page["Contents"]] == ["b/c/3", "b0"]
    assert page["IsTruncated"]
    old = s3.list_objects(Bucket=filled, Marker="b0", MaxKeys=2)
    assert [entry["Key"] for entry in old["Contents"]] == ["d e/+", "f"]
    assert old["NextMarker"] == "f"


def test_no_keys_wanted_are_no_keys(s3: Any, filled: str) -> None:
    page = s3.list_objects_v2(Bucket=filled, MaxKeys=0)
    assert (page["KeyCount"], page["IsTruncated"]) == (0, False)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EmbeddedObjects]:
    provider = Provider("http://127.0.0.1:9000", False, "us-east-1", "access", "secret")
    async with open_embedded(tmp_path, provider, object_limit=1000) as opened:
        yield opened


async def test_pages_are_what_sorting_everything_gives(store: EmbeddedObjects) -> None:
    """Over all short keys of an alphabet that has the delimiter and its neighbours in it."""
    keys = ["".join(letters) for size in (1, 2, 3) for letters in itertools.product("./0", repeat=size)]
    await store.make_bucket("things", tags={})
    for key in keys:
        await store.put("things", key, _nothing())
    for prefix, delimiter, size in itertools.product(("", ".", "/", "./", "no"), ("", "/", "./"), (1, 2, 7)):
        found = [name async for name in _pages(store, prefix, delimiter, size)]
        assert found == list(_expected(keys, prefix, delimiter)), (prefix, delimiter, size)


async def _pages(store: EmbeddedObjects, prefix: str, delimiter: str, size: int) -> AsyncIterator[str]:
    after: str | None = ""
    while after is not None:
        page = await store.page("things", prefix=prefix, delimiter=delimiter, after=after, limit=size)
        names = sorted([*(version.key for version in page.versions), *page.prefixes])
        assert len(names) <= size
        for name in names:
            yield name
        after = page.next_after


def _expected(keys: list[str], prefix: str, delimiter: str) -> Iterator[str]:
    def rolled_up(key: str) -> str:
        head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
        return prefix + head + found if found else key

    names = (rolled_up(key) for key in sorted(keys) if key.startswith(prefix))
    return (name for name, _ in itertools.groupby(names))


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
