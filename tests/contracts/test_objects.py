"""The contract of `Objects`, run against every implementation: add a new one's name and how it is opened."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.backends.objects.embedded.store import open_embedded
from gateway.backends.objects.protocol import OWN_BUCKET, Listener, Objects, Provider
from gateway.domain.event import StoredObject
from gateway.domain.problems import Invalid, NotFound, TooLarge

OBJECT_LIMIT = 8 << 20

IMPLEMENTATIONS = ["embedded"]


def opened(name: str, folder: Path, listener: Listener | None = None) -> AbstractAsyncContextManager[Objects]:
    """An open store of the implementation with this name."""
    assert name == "embedded"
    provider = Provider("http://127.0.0.1:9000", False, "us-east-1", "access", "secret")
    return open_embedded(folder, provider, object_limit=OBJECT_LIMIT, listener=listener)


@pytest.fixture(params=IMPLEMENTATIONS)
def implementation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def objects(implementation: str, tmp_path: Path) -> AsyncIterator[Objects]:
    async with opened(implementation, tmp_path) as store:
        await store.make_bucket("things", tags={})
        yield store


async def chunks(*each: bytes) -> AsyncIterator[bytes]:
    for chunk in each:
        yield chunk


async def content(objects: Objects, key: str, *, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in objects.read("things", key, start=start, end=end)])


async def put_all(objects: Objects, keys: Iterable[str]) -> None:
    for key in keys:
        await objects.put("things", key, chunks(b"x"))


async def test_a_bucket_is_made_once_and_keeps_its_tags(objects: Objects) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    assert await objects.make_bucket("mine", tags={"owner": "ada", "allowed_users": "b c"})
    assert not await objects.make_bucket("mine", tags={"owner": "eve"})
    bucket = await objects.bucket("mine")
    assert bucket.tags == {"owner": "ada", "allowed_users": "b c"}
    assert before < bucket.created_at <= datetime.now(UTC)
    await objects.tag_bucket("mine", {"visibility": "public"})
    assert (await objects.bucket("mine")).tags == {"visibility": "public"}


async def test_buckets_come_by_name_without_the_gateways_own(objects: Objects) -> None:
    for name in ("zebra", "ant"):
        await objects.make_bucket(name, tags={})
    assert [bucket.name for bucket in await objects.buckets()] == ["ant", "things", "zebra"]


@pytest.mark.parametrize(
    "name", ["ab", "a" * 64, "Big", "under_score", "-a-", "a..b", "10.0.0.1", "ü" * 4, "", "a/b"]
)
async def test_a_bad_bucket_name_is_refused(objects: Objects, name: str) -> None:
    with pytest.raises(Invalid):
        await objects.make_bucket(name, tags={})


async def test_what_is_not_there_is_not_found(objects: Objects) -> None:
    with pytest.raises(NotFound):
        await objects.bucket("nowhere")
    with pytest.raises(NotFound):
        await objects.tag_bucket("nowhere", {})
    with pytest.raises(NotFound):
        await objects.remove_bucket("nowhere")
    with pytest.raises(NotFound):
        await objects.put("nowhere", "k", chunks(b"x"))
    with pytest.raises(NotFound):
        await objects.list("nowhere")
    with pytest.raises(NotFound):
        await objects.stat("things", "k")
    with pytest.raises(NotFound):
        await content(objects, "k")


async def test_an_object_is_stored_whole(objects: Objects) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    stored = await objects.put("things", "a/b", chunks(b"ab", b"", b"cd"))
    assert stored.etag == hashlib.md5(b"abcd").hexdigest()
    assert (stored.bucket, stored.key, stored.size_bytes) == ("things", "a/b", 4)
    assert before <= stored.modified_at <= datetime.now(UTC)
    assert stored.modified_at.microsecond % 1000 == 0
    assert await objects.stat("things", "a/b") == stored
    assert (await objects.list("things")).objects == (stored,)
    assert await content(objects, "a/b") == b"abcd"


async def test_any_stretch_can_be_read(objects: Objects) -> None:
    whole = bytes(range(256)) * (3 << 12)
    await objects.put("things", "k", chunks(whole))
    assert await content(objects, "k") == whole
    assert await content(objects, "k", start=1_000_000, end=2_100_001) == whole[1_000_000:2_100_001]
    assert await content(objects, "k", start=len(whole) - 2) == whole[-2:]
    assert await content(objects, "k", start=5, end=5) == b""
    assert await content(objects, "k", end=len(whole) + 10) == whole


async def test_an_empty_object_is_an_object(objects: Objects) -> None:
    stored = await objects.put("things", "empty", chunks())
    assert (stored.size_bytes, stored.etag) == (0, hashlib.md5(b"").hexdigest())
    assert await content(objects, "empty") == b""


async def test_equal_bytes_put_again_are_another_version(objects: Objects) -> None:
    stored = [await objects.put("things", "k", chunks(b"same")) for _ in range(20)]
    moments = [each.modified_at for each in stored]
    assert moments == sorted(set(moments))


async def test_the_mark_stays_with_the_object(objects: Objects) -> None:
    stored = await objects.put("things", "k", chunks(b"x"), mark="uid job place")
    assert stored.mark == "uid job place"
    assert (await objects.stat("things", "k")).mark == "uid job place"
    assert (await objects.list("things")).objects[0].mark == "uid job place"
    assert (await objects.put("things", "k", chunks(b"x"))).mark == ""


async def test_a_body_that_breaks_leaves_the_old_object(objects: Objects) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield bytes(3 << 20)
        raise ConnectionError

    await objects.put("things", "k", chunks(b"old"))
    with pytest.raises(ConnectionError):
        await objects.put("things", "k", breaking())
    assert await content(objects, "k") == b"old"


async def test_a_body_over_the_limit_leaves_nothing(objects: Objects) -> None:
    with pytest.raises(TooLarge):
        await objects.put("things", "k", chunks(*[bytes(1 << 20)] * 9))
    assert (await objects.list("things")).objects == ()


async def test_a_put_that_is_cancelled_leaves_nothing(objects: Objects) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield bytes(2 << 20)
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await objects.put("things", "k", endless())
    assert (await objects.list("things")).objects == ()


async def test_a_reader_gets_the_version_it_began_with(objects: Objects) -> None:
    old, new = b"o" * (3 << 20), b"n" * (3 << 20)
    await objects.put("things", "k", chunks(old))
    reading = objects.read("things", "k")
    first = await anext(reading)
    await objects.put("things", "k", chunks(new))
    await objects.remove("things", "k")
    assert first + b"".join([chunk async for chunk in reading]) == old


async def test_removing_twice_is_fine(objects: Objects) -> None:
    await objects.put("things", "k", chunks(b"x"))
    await objects.remove("things", "k")
    await objects.remove("things", "k")
    with pytest.raises(NotFound):
        await objects.stat("things", "k")


@pytest.mark.parametrize("key", ["", "a\0b", "k" * 1025, "é" * 513])
async def test_what_is_no_key_is_refused(objects: Objects, key: str) -> None:
    with pytest.raises(Invalid):
        await objects.put("things", key, chunks(b"x"))


async def test_any_other_key_is_its_own_object(objects: Objects) -> None:
    keys = [
        "x",
        "x/y",
        "x//y",
        "x/../y",
        "..",
        "/",
        " ",
        "a+b",
        "a%2Bb",
        "é",
        "日本/語",
        "\U0001f600",
        "k" * 1024,
    ]
    await put_all(objects, keys)
    listed = (await objects.list("things")).objects
    assert [stored.key for stored in listed] == sorted(keys, key=str.encode)
    for key in keys:
        assert await content(objects, key) == b"x"


async def test_a_listing_pages_through_a_prefix(objects: Objects) -> None:
    await put_all(objects, ["a", "p/1", "p/2", "p/3", "p0", "q"])
    first = await objects.list("things", prefix="p/", limit=2)
    assert ([stored.key for stored in first.objects], first.next_after) == (["p/1", "p/2"], "p/2")
    rest = await objects.list("things", prefix="p/", after="p/2", limit=2)
    assert ([stored.key for stored in rest.objects], rest.next_after) == (["p/3"], None)
    assert [stored.key for stored in (await objects.list("things", after="p/3")).objects] == ["p0", "q"]
    exact = await objects.list("things", prefix="p/", limit=3)
    assert (len(exact.objects), exact.next_after) == (3, None)


async def test_a_bucket_goes_with_everything_in_it(objects: Objects) -> None:
    await put_all(objects, ["a", "b"])
    await objects.remove_bucket("things")
    with pytest.raises(NotFound):
        await objects.stat("things", "a")
    assert await objects.make_bucket("things", tags={})
    assert (await objects.list("things")).objects == ()


async def test_the_gateways_own_bucket_is_there_to_use(objects: Objects) -> None:
    await objects.put(OWN_BUCKET, "k", chunks(b"x"))
    assert (await objects.stat(OWN_BUCKET, "k")).size_bytes == 1


async def test_the_listener_is_told_of_every_bucket_but_the_own(implementation: str, tmp_path: Path) -> None:
    told: list[StoredObject] = []

    async def listen(stored: StoredObject, _: bytes) -> None:
        told.append(stored)

    async with opened(implementation, tmp_path, listen) as store:
        await store.make_bucket("things", tags={})
        await store.put(OWN_BUCKET, "own", chunks(b"x"))
        stored = await store.put("things", "k", chunks(b"x"), mark="m")
    assert told == [stored]


async def test_what_was_stored_is_there_after_a_restart(implementation: str, tmp_path: Path) -> None:
    async with opened(implementation, tmp_path) as store:
        await store.make_bucket("things", tags={"owner": "ada"})
        stored = await store.put("things", "k", chunks(b"x"), mark="m")
    async with opened(implementation, tmp_path) as store:
        assert (await store.bucket("things")).tags == {"owner": "ada"}
        assert await store.stat("things", "k") == stored
        assert await content(store, "k") == b"x"


@pytest.mark.parametrize("expires_s", [0, -1, 604801])
async def test_a_link_lasts_a_second_to_a_week(objects: Objects, expires_s: int) -> None:
    with pytest.raises(Invalid):
        objects.presign("GET", "things", "k", expires_s=expires_s, now=datetime.now(UTC))


async def test_an_open_store_is_ready(objects: Objects) -> None:
    await objects.ready()
