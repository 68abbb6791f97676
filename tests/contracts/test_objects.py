"""The contract of `Objects`, run against every implementation: add a new one's name and how it is opened."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from gateway.backends.objects.embedded.face.app import build_face
from gateway.backends.objects.embedded.store import EmbeddedObjects, open_embedded
from gateway.backends.objects.protocol import OWN_BUCKET, Objects, Provider, UploadPart
from gateway.backends.objects.s3.place import Place
from gateway.backends.objects.s3.store import open_s3
from gateway.domain.parted import parted_etag
from gateway.domain.problems import Forbidden, Invalid, NotFound, TooLarge
from gateway.staging.etag import file_etag
from tests.servers.minio import minio
from tests.servers.versitygw import versitygw

OBJECT_LIMIT = 20 << 20
PART_LEAST = 5 << 20

IMPLEMENTATIONS = [
    "embedded",
    pytest.param("minio", marks=pytest.mark.services),
    pytest.param("versitygw", marks=pytest.mark.services),
]

Opened = Callable[[], AbstractAsyncContextManager[Objects]]


@pytest.fixture(scope="module", params=IMPLEMENTATIONS)
def implementation(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Provider | None]:
    """The running server to open a store on, None for the embedded one."""
    match request.param:
        case "embedded":
            yield None
        case "minio":
            with minio(tmp_path_factory.mktemp("minio")) as server:
                yield Provider(server.url, False, "us-east-1", server.access_key, server.secret_key)
        case "versitygw":
            with versitygw(tmp_path_factory.mktemp("versitygw")) as provider:
                yield provider


@pytest.fixture
def opened(implementation: Provider | None, tmp_path: Path) -> Opened:
    """Opens the same store again and again, one for each test."""
    if implementation is None:
        provider = Provider("http://127.0.0.1:9000", False, "us-east-1", "access", "secret")
        return lambda: open_embedded(tmp_path, provider, object_limit=OBJECT_LIMIT)
    place = Place(implementation, implementation, own_bucket=f"own-{secrets.token_hex(6)}")
    return lambda: open_s3(place, object_limit=OBJECT_LIMIT)


@pytest.fixture
async def objects(opened: Opened) -> AsyncIterator[Objects]:
    async with opened() as store:
        for bucket in await store.buckets():
            await store.remove_bucket(bucket.name)
        await store.make_bucket("things", tags={})
        yield store


@pytest.fixture
async def reached(objects: Objects) -> AsyncIterator[httpx.AsyncClient]:
    """Where the store's links lead to."""
    transport = httpx.ASGITransport(build_face(objects)) if isinstance(objects, EmbeddedObjects) else None
    async with httpx.AsyncClient(transport=transport, timeout=30) as http:
        yield http


async def chunks(*each: bytes) -> AsyncIterator[bytes]:
    for chunk in each:
        yield chunk


async def content(objects: Objects, key: str, *, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in objects.read("things", key, start=start, end=end)])


def part_link(objects: Objects, upload: str, number: int) -> str:
    part = UploadPart(upload, number)
    return objects.presign_part("things", "in/k", part, expires_s=60, now=datetime.now(UTC))


async def put_part(
    objects: Objects, reached: httpx.AsyncClient, upload: str, number: int, part: bytes
) -> str:
    """Its eTag."""
    answer = await reached.put(part_link(objects, upload, number), content=part)
    assert answer.status_code == 200, answer.text
    return answer.headers["ETag"].strip('"')


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
    before = datetime.now(UTC) - timedelta(seconds=1)
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
    if any(moment.microsecond for moment in moments):
        assert moments == sorted(set(moments))
    else:
        assert moments == sorted(moments), "told in seconds: two versions of one second are one"


async def test_the_mark_stays_with_the_object(objects: Objects) -> None:
    stored = await objects.put("things", "k", chunks(b"x"), mark="uid job place")
    assert stored.mark == "uid job place"
    assert (await objects.stat("things", "k")).mark == "uid job place"
    (listed,) = (await objects.list("things")).objects
    assert replace(listed, mark="uid job place") == stored
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
        await objects.put("things", "k", chunks(*[bytes(1 << 20)] * 21))
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
    keys = ["x", "w/y", " ", "a+b", "a%2Bb", "a b/c d", "é", "日本/語", "\U0001f600", "q?*", "k" * 250]
    await put_all(objects, keys)
    listed = (await objects.list("things")).objects
    assert [stored.key for stored in listed] == sorted(keys, key=str.encode)
    for key in keys:
        assert await content(objects, key) == b"x"
        assert (await objects.stat("things", key)).key == key


@pytest.mark.parametrize("key", ["x//y", "x/../y", "..", "/", "k" * 1024, "\n", "a\x01b"])
async def test_a_key_that_no_file_could_have_is_its_own_object_or_refused(
    objects: Objects, key: str, request: pytest.FixtureRequest
) -> None:
    if "versitygw" in request.node.name:
        pytest.skip("its keys are paths of files, and tidied up as such")
    try:
        await put_all(objects, [key])
    except Invalid:
        return
    assert [stored.key for stored in (await objects.list("things")).objects] == [key]
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


async def test_the_gateways_own_bucket_is_nobodys_to_make_or_remove(objects: Objects) -> None:
    assert not await objects.make_bucket(OWN_BUCKET, tags={"owner": "eve"})
    with pytest.raises(Forbidden):
        await objects.remove_bucket(OWN_BUCKET)
    assert OWN_BUCKET not in {bucket.name for bucket in await objects.buckets()}


async def test_what_was_stored_is_there_after_a_restart(opened: Opened) -> None:
    async with opened() as store:
        await store.make_bucket("lasting", tags={"owner": "ada"})
        stored = await store.put("lasting", "k", chunks(b"x"), mark="m")
    async with opened() as store:
        assert (await store.bucket("lasting")).tags == {"owner": "ada"}
        assert await store.stat("lasting", "k") == stored
        await store.remove_bucket("lasting")


async def test_a_walk_passes_every_object_once(objects: Objects) -> None:
    keys = [f"in/{number:02}" for number in range(20)]
    await put_all(objects, [*keys, "out/1"])
    walked = [stored async for page in objects.walk("things", prefix="in/") for stored in page]
    assert [stored.key for stored in walked] == keys
    assert tuple(walked) == (await objects.list("things", prefix="in/")).objects
    with pytest.raises(NotFound):
        _ = [page async for page in objects.walk("nowhere")]


async def test_a_long_body_is_one_object_and_read_in_pieces(objects: Objects, tmp_path: Path) -> None:
    piece = bytes(range(256)) * 4096
    stored = await objects.put("things", "long", chunks(*[piece] * 18), mark="m")
    assert stored.size_bytes == 18 << 20
    assert await objects.stat("things", "long") == stored
    digest, longest = hashlib.sha256(), 0
    async for chunk in objects.read("things", "long"):
        digest.update(chunk)
        longest = max(longest, len(chunk))
    assert digest.digest() == hashlib.sha256(piece * 18).digest()
    (tmp_path / "file").write_bytes(piece * 18)
    with (tmp_path / "file").open("rb") as file:
        assert file_etag(file, like=stored.etag) == stored.etag
    assert longest <= 1 << 20


async def test_a_long_body_that_breaks_leaves_the_old_object(objects: Objects) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        for _ in range(18):
            yield bytes(1 << 20)
        raise ConnectionError

    await objects.put("things", "k", chunks(b"old"))
    with pytest.raises(ConnectionError):
        await objects.put("things", "k", breaking())
    assert await content(objects, "k") == b"old"


async def test_an_upload_in_parts_is_nothing_until_it_is_complete(objects: Objects) -> None:
    upload = await objects.begin_upload("things", "k", mark="m")
    assert (await objects.list("things")).objects == ()
    with pytest.raises(Invalid):
        await objects.complete_upload("things", "k", upload, [(1, "0" * 32)])
    await objects.abort_upload("things", "k", upload)
    await objects.abort_upload("things", "k", upload)
    with pytest.raises(NotFound):
        await objects.complete_upload("things", "k", upload, [(1, "0" * 32)])


async def test_parts_put_by_links_become_one_object_all_at_once(
    objects: Objects, reached: httpx.AsyncClient
) -> None:
    parts = (b"a" * PART_LEAST, b"b" * PART_LEAST, b"c")
    upload = await objects.begin_upload("things", "in/k", content_type="text/x", mark="m")
    wrong = await put_part(objects, reached, upload, 2, b"x" * PART_LEAST)
    etags = [await put_part(objects, reached, upload, n, part) for n, part in enumerate(parts, 1)]
    assert wrong not in etags
    assert (await objects.list("things")).objects == ()
    stored = await objects.complete_upload("things", "in/k", upload, list(enumerate(etags, 1)))
    assert (stored.size_bytes, stored.mark) == (2 * PART_LEAST + 1, "m")
    assert stored.etag == parted_etag(hashlib.md5(part).digest() for part in parts)
    assert stored == await objects.stat("things", "in/k")
    assert await content(objects, "in/k") == b"".join(parts)
    with suppress(NotFound):
        assert stored == await objects.complete_upload("things", "in/k", upload, list(enumerate(etags, 1)))


async def test_an_aborted_upload_takes_no_part_and_leaves_what_was_there(
    objects: Objects, reached: httpx.AsyncClient
) -> None:
    await objects.put("things", "in/k", chunks(b"old"))
    upload = await objects.begin_upload("things", "in/k")
    etag = await put_part(objects, reached, upload, 1, b"new")
    link = part_link(objects, upload, 2)
    await objects.abort_upload("things", "in/k", upload)
    refused = await reached.put(link, content=b"late")
    assert (refused.status_code, b"NoSuchUpload" in refused.content) == (404, True)
    with pytest.raises(NotFound):
        await objects.complete_upload("things", "in/k", upload, [(1, etag)])
    assert await content(objects, "in/k") == b"old"


async def test_watching_is_said_again_and_again(objects: Objects) -> None:
    for prefixes in ({"in/"}, {"in/", "other/"}, set[str]()):
        await objects.watch("things", prefixes)


@pytest.mark.parametrize("expires_s", [0, -1, 604801])
async def test_a_link_lasts_a_second_to_a_week(objects: Objects, expires_s: int) -> None:
    with pytest.raises(Invalid):
        objects.presign("GET", "things", "k", expires_s=expires_s, now=datetime.now(UTC))


async def test_an_open_store_is_ready(objects: Objects) -> None:
    await objects.ready()
