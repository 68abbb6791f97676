"""The embedded store's own promises: kills are cleared up, unwanted bytes go, a full disk heals."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from gateway.backends.objects.embedded import bucket_rows
from gateway.backends.objects.embedded import store as store_module
from gateway.backends.objects.embedded import uploads as uploads_module
from gateway.backends.objects.embedded.notices import Origin
from gateway.backends.objects.embedded.store import EmbeddedObjects, open_embedded
from gateway.backends.objects.embedded.version import Description, now_ms
from gateway.backends.objects.protocol import OWN_BUCKET, Provider
from gateway.domain.event import StoredObject
from gateway.domain.problems import Forbidden, NotFound, Unavailable

PROVIDER = Provider("http://127.0.0.1:9000", False, "us-east-1", "access", "secret")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EmbeddedObjects]:
    async with open_embedded(tmp_path, PROVIDER, object_limit=64 << 20) as opened:
        await opened.make_bucket("things", tags={})
        yield opened


def blobs(folder: Path) -> set[Path]:
    return set((folder / "blobs").glob("*/*"))


async def body(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_bytes_go_when_nothing_wants_them(store: EmbeddedObjects, tmp_path: Path) -> None:
    for content in (b"1", b"2", b"3"):
        await store.put("things", "k", body(content))
    assert len(blobs(tmp_path)) == 1
    await store.remove("things", "k")
    assert blobs(tmp_path) == set()


async def test_bytes_that_are_read_go_after_the_last_reader(store: EmbeddedObjects, tmp_path: Path) -> None:
    await store.put("things", "k", body(b"old"))
    async with store.reading("things", "k") as one:
        async with store.reading("things", "k"):
            await store.remove("things", "k")
        assert [chunk async for chunk in one.chunks(0, 3)] == [b"old"]
        assert len(blobs(tmp_path)) == 1
    assert blobs(tmp_path) == set()


async def test_a_removed_bucket_leaves_no_bytes(store: EmbeddedObjects, tmp_path: Path) -> None:
    for number in range(5):
        await store.put("things", f"{number}", body(b"x"))
    upload = await store.uploads.begin("things", "k", Description())
    await store.uploads.put_part(upload, 1, body(b"part"))
    await store.remove_bucket("things")
    assert blobs(tmp_path) == set()


async def test_the_gateways_own_bucket_cannot_be_removed(store: EmbeddedObjects) -> None:
    with pytest.raises(Forbidden):
        await store.remove_bucket(OWN_BUCKET)


async def test_the_listener_is_told_of_every_bucket_but_the_own(store: EmbeddedObjects) -> None:
    told: list[StoredObject] = []

    async def listen(stored: StoredObject, _: bytes) -> None:
        told.append(stored)

    store.listen(listen)
    await store.put(OWN_BUCKET, "own", body(b"x"))
    stored = await store.put("things", "k", body(b"x"), mark="m")
    assert told == [stored]


async def test_a_copy_has_bytes_of_its_own(store: EmbeddedObjects) -> None:
    await store.put("things", "from", body(b"abc"))
    async with store.reading("things", "from") as source:
        await store.copy(source, "things", "to", description=Description(), origin=Origin())
    await store.remove("things", "from")
    assert [chunk async for chunk in store.read("things", "to")] == [b"abc"]


async def test_a_start_removes_bytes_without_a_row(tmp_path: Path) -> None:
    async with open_embedded(tmp_path, PROVIDER, object_limit=100) as store:
        await store.put(OWN_BUCKET, "k", body(b"kept"))
        kept = blobs(tmp_path)
    folder = next(iter(kept)).parent
    (folder / f"{folder.name}-leftover").write_bytes(b"of a killed process")
    async with open_embedded(tmp_path, PROVIDER, object_limit=100) as store:
        assert blobs(tmp_path) == kept
        assert [chunk async for chunk in store.read(OWN_BUCKET, "k")] == [b"kept"]


async def test_versions_differ_even_when_the_clock_stands_still_or_goes_back(
    store: EmbeddedObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = []
    for moment in (5000, 5000, 4000):
        monkeypatch.setattr(store_module, "now_ms", partial(int, moment))
        moments.append((await store.put("things", "k", body(b"same"))).modified_at.timestamp())
    assert moments == [5.0, 5.001, 5.002]


async def test_uploads_given_up_are_dropped_at_a_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_embedded(tmp_path, PROVIDER, object_limit=100) as store:
        recent = await store.uploads.begin(OWN_BUCKET, "recent", Description())
        monkeypatch.setattr(uploads_module, "now_ms", lambda: now_ms() - 8 * 86400 * 1000)
        old = await store.uploads.begin(OWN_BUCKET, "old", Description())
        await store.uploads.put_part(old, 1, body(b"part"))
        monkeypatch.undo()
    async with open_embedded(tmp_path, PROVIDER, object_limit=100) as store:
        assert blobs(tmp_path) == set()
        assert await store.uploads.find(OWN_BUCKET, "recent", recent.id) == recent
        with pytest.raises(NotFound):
            await store.uploads.find(OWN_BUCKET, "old", old.id)


async def test_a_removal_that_was_cut_short_is_finished_at_a_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_rows, "BATCH", 1)
    async with open_embedded(tmp_path, PROVIDER, object_limit=100) as store:
        await store.make_bucket("things", tags={})
        await store.put(OWN_BUCKET, "k", body(b"kept"))
        for number in range(10):
            await store.put("things", f"{number}", body(b"x"))
        removing = asyncio.ensure_future(store.remove_bucket("things"))
        while "things" in [bucket.name for bucket in await store.buckets()]:
            pass
        removing.cancel()
        await asyncio.wait([removing])
        assert len(blobs(tmp_path)) > 1
        assert await store.make_bucket("things", tags={})
        assert (await store.list("things")).objects == ()
    async with open_embedded(tmp_path, PROVIDER, object_limit=100):
        assert len(blobs(tmp_path)) == 1


async def test_a_cancelled_write_is_whole_or_nothing(store: EmbeddedObjects, tmp_path: Path) -> None:
    """Cancelled at whatever step it is: afterwards the index names exactly the bytes there are."""
    for steps in range(12):
        writing = asyncio.ensure_future(store.put("things", f"{steps}", body(bytes(10), bytes(2 << 20))))
        for _ in range(steps):
            await asyncio.sleep(0)
        writing.cancel()
        await asyncio.wait([writing])
    there = (await store.list("things")).objects
    assert len(blobs(tmp_path)) == len(there)


async def test_an_upload_completed_twice_is_one_object(store: EmbeddedObjects, tmp_path: Path) -> None:
    upload = await store.uploads.begin("things", "k", Description())
    parts = [await store.uploads.put_part(upload, number, body(b"x")) for number in (1, 2, 1)]
    chosen = [(1, parts[2].etag)]
    await store.uploads.complete(upload, chosen, origin=Origin())
    with pytest.raises(NotFound):
        await store.uploads.complete(upload, chosen, origin=Origin())
    with pytest.raises(NotFound):
        await store.uploads.put_part(upload, 3, body(b"late"))
    assert len(blobs(tmp_path)) == 1


async def test_a_closed_store_is_unavailable(tmp_path: Path) -> None:
    async with open_embedded(tmp_path, PROVIDER, object_limit=100) as store:
        pass
    with pytest.raises(Unavailable):
        await store.buckets()


async def test_a_blob_that_is_gone_is_told(store: EmbeddedObjects, tmp_path: Path) -> None:
    await store.put("things", "k", body(b"x"))
    for blob in blobs(tmp_path):
        blob.unlink()
    with pytest.raises(Unavailable):
        await anext(store.read("things", "k"))


FULL_DISK = """
import asyncio, sys
from pathlib import Path
from gateway.backends.objects.embedded.store import open_embedded
from gateway.domain.problems import StorageFull
from tests.s3.test_store import PROVIDER, blobs, body

async def main(folder):
    async with open_embedded(folder, PROVIDER, object_limit=1 << 30) as store:
        await store.make_bucket("things", tags={})
        await store.put("things", "old", body(bytes(1 << 20)))
        for size in (16 << 20, 1 << 20, 4096):
            try:
                for number in range(10_000):
                    await store.put("things", f"{size}/{number}", body(bytes(size)))
            except StorageFull:
                print("full")
        try:
            await store.ready()
        except StorageFull:
            print("told")
        listed = (await store.list("things", limit=10**6)).objects
        assert len(blobs(folder)) == len(listed), (len(blobs(folder)), len(listed))
        await store.remove("things", "old")
        await store.ready()
        await store.put("things", "new", body(bytes(1 << 19)))
        print("healed")

asyncio.run(main(Path(sys.argv[1])))
"""


def test_a_full_disk_is_told_and_heals(tmp_path: Path) -> None:
    """On a small disk in memory, mounted in namespaces of its own."""
    script = f'mount -t tmpfs -o size=8m none "{tmp_path}" && exec "$0" -c "$1" "{tmp_path}"'
    isolated = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    try:
        subprocess.run(
            [*isolated, f'mount -t tmpfs none "{tmp_path}"'], check=True, capture_output=True, timeout=10
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this machine lets nobody mount a disk of their own")
    run = subprocess.run(
        [*isolated, script, sys.executable, FULL_DISK],
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
    )
    assert (run.stdout.split(), run.stderr) == (["full", "full", "full", "told", "healed"], "")
