"""What every registry promises, whatever keeps it: a new one starts by adding its name to REGISTRIES."""

import asyncio
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gateway.backends.registry.directory import LOOK_EVERY_S, DirectoryRegistry, open_directory
from gateway.backends.registry.protocol import Registry
from gateway.backends.registry.record import RecordError, parse_record, record_bytes
from gateway.domain.deployed import Deployed
from gateway.domain.problems import Conflict, NotFound, Unavailable
from gateway.domain.service import Environment, Service, StorageRule
from tests.contracts.kubernetes_registry import namespace_of_its_own, open_in

REGISTRIES = ["directory", "shared-directory", pytest.param("kubernetes", marks=pytest.mark.services)]
NOW = datetime(2030, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
Open = Callable[[], Awaitable[Registry]]


@pytest.fixture(params=REGISTRIES)
async def open_registry(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Open]:
    """Open it, or open it again: what another process, or a later one, would see."""
    match request.param:
        case "directory":
            yield lambda: load_directory(tmp_path / "services")
        case "shared-directory":
            async with AsyncExitStack() as stack:
                folder = tmp_path / "services"
                yield lambda: stack.enter_async_context(open_directory(folder, shared=True))
        case "kubernetes":
            kubeconfig: Path = request.getfixturevalue("kubeconfig")
            async with AsyncExitStack() as stack:
                namespace = await stack.enter_async_context(namespace_of_its_own(kubeconfig))
                yield lambda: stack.enter_async_context(open_in(kubeconfig, namespace))
        case other:
            raise ValueError(other)


async def load_directory(folder: Path) -> DirectoryRegistry:
    registry = DirectoryRegistry(folder, shared=False)
    await asyncio.to_thread(registry.load)
    return registry


@pytest.fixture
async def registry(open_registry: Open) -> Registry:
    return await open_registry()


def deployed(name: str, *, uid: str = "u1", script: str = "#!/bin/sh\ncat\n") -> Deployed:
    service = Service(
        name=name,
        image="debian:12",
        script=script,
        input=(StorageRule(storage_provider="minio.default", path=f"{name}/in"),),
        environment=Environment(variables={"MODE": "on"}, secrets={"KEY": "hush"}),
        token="t" * 64,
        owner="ada",
    )
    return Deployed(service, uid, NOW, NOW, {f"{name}/in": NOW - timedelta(days=1)})


async def test_a_created_service_is_there_at_once_and_after_a_restart(open_registry: Open) -> None:
    registry = await open_registry()
    await registry.create(deployed("grey"))

    later = await open_registry()

    assert registry.get("grey") == later.get("grey") == deployed("grey")
    assert registry.get("red") is None


async def test_all_services_are_ordered_by_name(open_registry: Open) -> None:
    registry = await open_registry()
    for name in ("red", "blue", "grey"):
        await registry.create(deployed(name))

    for seen in (registry, await open_registry()):
        assert [one.service.name for one in seen.all()] == ["blue", "grey", "red"]


async def test_a_name_is_taken_once(registry: Registry) -> None:
    results = await asyncio.gather(
        *(registry.create(deployed("grey", uid=f"u{number}")) for number in range(5)), return_exceptions=True
    )

    assert sum(isinstance(one, Conflict) for one in results) == 4
    standing = registry.get("grey")
    assert standing is not None
    assert results[int(standing.uid[1:])] is None


async def test_a_name_taken_by_another_process_is_taken(open_registry: Open) -> None:
    one, other = await open_registry(), await open_registry()
    await one.create(deployed("grey", uid="first"))

    with pytest.raises(Conflict):
        await other.create(deployed("grey", uid="second"))

    standing = (await open_registry()).get("grey")
    assert standing is not None
    assert standing.uid == "first"


async def test_a_replaced_service_is_the_new_one_after_a_restart_too(open_registry: Open) -> None:
    registry = await open_registry()
    first = deployed("grey")
    second = replace(deployed("grey", script="echo 2"), updated_at=NOW + timedelta(seconds=1))
    await registry.create(first)

    await registry.replace(second, previous=first)

    assert registry.get("grey") == (await open_registry()).get("grey") == second


async def test_of_two_who_replace_the_same_service_one_is_refused(registry: Registry) -> None:
    first = deployed("grey")
    await registry.create(first)
    changes = [replace(first, updated_at=NOW + timedelta(seconds=second)) for second in (1, 2)]

    results = await asyncio.gather(
        *(registry.replace(change, previous=first) for change in changes), return_exceptions=True
    )

    assert sum(isinstance(one, Conflict) for one in results) == 1


async def test_a_service_created_anew_is_not_replaced_by_who_knew_the_old_one(registry: Registry) -> None:
    old = deployed("grey", uid="old")
    await registry.create(old)
    await registry.remove("grey")
    await registry.create(deployed("grey", uid="new"))

    with pytest.raises(Conflict):
        await registry.replace(old, previous=old)


async def test_a_removed_service_is_gone_and_its_name_free(open_registry: Open) -> None:
    registry = await open_registry()
    await registry.create(deployed("grey"))
    await registry.remove("grey")

    assert registry.get("grey") is None
    assert (await open_registry()).get("grey") is None
    await registry.create(deployed("grey", uid="u2"))


async def test_an_unknown_service_is_not_found(registry: Registry) -> None:
    with pytest.raises(NotFound):
        await registry.remove("../grey")
    with pytest.raises(NotFound):
        await registry.replace(deployed("grey"), previous=deployed("grey"))


async def test_the_generation_grows_with_every_change(registry: Registry) -> None:
    seen = [registry.generation()]
    first, second = deployed("grey"), replace(deployed("grey"), updated_at=NOW + timedelta(seconds=1))
    await registry.create(first)
    seen.append(registry.generation())
    await registry.replace(second, previous=first)
    seen.append(registry.generation())
    with pytest.raises(Conflict):
        await registry.create(first)
    assert registry.generation() == seen[-1]
    await registry.remove("grey")
    seen.append(registry.generation())

    assert seen == sorted(set(seen))


async def test_a_caller_who_stops_waiting_cannot_part_what_is_shown_from_what_is_kept(
    open_registry: Open,
) -> None:
    registry = await open_registry()
    creating = asyncio.ensure_future(registry.create(deployed("grey")))
    await asyncio.sleep(0)
    creating.cancel()
    await asyncio.wait([creating])
    # Whatever became of it, the next change comes after it.
    await registry.create(deployed("red"))

    assert registry.get("grey") == (await open_registry()).get("grey")


async def test_processes_on_a_shared_folder_see_each_others_services(tmp_path: Path) -> None:
    async with (
        open_directory(tmp_path, shared=True) as one,
        open_directory(tmp_path, shared=True) as other,
        asyncio.timeout(LOOK_EVERY_S * 10),
    ):
        await one.create(deployed("grey"))
        while other.get("grey") is None:  # noqa: ASYNC110 - what is waited for is the other's own looking
            await asyncio.sleep(0.01)
        with pytest.raises(Conflict):
            await other.create(deployed("grey"))
        changed = replace(deployed("grey", script="#!/bin/sh\n"), updated_at=NOW + timedelta(seconds=1))
        await other.replace(changed, previous=deployed("grey"))
        with pytest.raises(Conflict):
            await one.replace(changed, previous=deployed("grey"))
        assert one.get("grey") == changed
        await one.remove("grey")
        with pytest.raises(NotFound):
            await other.remove("grey")
        assert list(other.all()) == []


@pytest.mark.parametrize("open_registry", REGISTRIES[1:], indirect=True)
async def test_who_looks_a_service_up_sees_what_another_process_has_just_written(open_registry: Open) -> None:
    one, other = await open_registry(), await open_registry()
    first = deployed("grey")
    await one.create(first)
    assert await other.look_up("grey") == first
    changed = replace(deployed("grey", script="#!/bin/sh\n"), updated_at=NOW + timedelta(seconds=1))
    await one.replace(changed, previous=first)
    assert await other.look_up("grey") == changed
    await one.remove("grey")
    assert await other.look_up("grey") is None
    again = deployed("grey", uid="u2")
    await other.create(again)
    assert await one.look_up("grey") == again


class TestDirectory:
    """What only the folder promises: how it looks to people, and to a gateway that finds it damaged."""

    async def test_files_and_folder_are_for_their_owner_only(self, tmp_path: Path) -> None:
        registry = await load_directory(tmp_path / "services")
        await registry.create(deployed("grey"))

        (file,) = (tmp_path / "services").iterdir()

        assert file.name == "grey.yaml"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700

    async def test_a_script_stands_in_the_file_line_by_line(self, tmp_path: Path) -> None:
        registry = await load_directory(tmp_path)
        await registry.create(deployed("grey", script="#!/bin/sh\necho é\n"))

        assert "    #!/bin/sh\n    echo é\n" in (tmp_path / "grey.yaml").read_text()

    @pytest.mark.parametrize(
        "content",
        [b"", b"hush: [", b"hush", b"\xff\xfe\x00", b"service: {name: grey}", b"!!python/name:os.system {}"],
    )
    async def test_a_file_that_cannot_be_read_is_reported_and_left_alone(
        self, tmp_path: Path, content: bytes
    ) -> None:
        await (await load_directory(tmp_path)).create(deployed("red"))
        (tmp_path / "grey.yaml").write_bytes(content)

        with capture_logs() as logs:
            registry = await load_directory(tmp_path)

        assert [one.service.name for one in registry.all()] == ["red"]
        assert [(line["event"], line["file"]) for line in logs] == [("service.unreadable", "grey.yaml")]
        assert "hush" not in str(logs)
        with pytest.raises(Conflict):
            await registry.create(deployed("grey"))
        assert (tmp_path / "grey.yaml").read_bytes() == content

    async def test_a_file_with_another_name_than_its_service_is_reported(self, tmp_path: Path) -> None:
        (tmp_path / "grey.yaml").write_bytes(record_bytes(deployed("red")))

        with capture_logs() as logs:
            registry = await load_directory(tmp_path)

        assert not list(registry.all())
        assert [line["why"] for line in logs] == ["the service in it has another name"]

    async def test_what_a_killed_writer_left_is_no_service(self, tmp_path: Path) -> None:
        (tmp_path / "grey.yaml.0123.new").write_bytes(record_bytes(deployed("grey")))

        registry = await load_directory(tmp_path)

        assert registry.get("grey") is None
        await registry.create(deployed("grey"))

    async def test_a_folder_that_is_away_is_unavailable_and_changes_nothing(self, tmp_path: Path) -> None:
        registry = await load_directory(tmp_path / "services")
        await registry.create(deployed("grey"))
        (tmp_path / "services").rename(tmp_path / "elsewhere")

        with pytest.raises(Unavailable):
            await registry.create(deployed("red"))
        with pytest.raises(Unavailable):
            await registry.replace(deployed("grey"), previous=deployed("grey"))

        assert registry.get("red") is None
        (tmp_path / "elsewhere").rename(tmp_path / "services")
        await registry.create(deployed("red"))


@given(raw=st.binary() | st.text().map(str.encode))
def test_any_bytes_are_a_record_or_refused(raw: bytes) -> None:
    with pytest.raises(RecordError):
        parse_record(raw)


@example(lines=["\x85"], value="\x85")  # a line end to YAML, not to us
@given(
    lines=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"))),
    value=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
)
def test_every_script_secret_and_path_is_read_as_it_was_written(lines: list[str], value: str) -> None:
    record = deployed("grey", script="\n".join(["#!/bin/sh", *lines]))
    service = record.service.model_copy(update={"environment": Environment(secrets={"KEY": value})})
    written = replace(record, service=service, inputs_since={value: NOW})

    assert parse_record(record_bytes(written)) == written
