"""What only a real container engine can show."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiodocker import Docker

from gateway.domain.definition import Service
from gateway.domain.problems import Invalid
from gateway.executors.docker import DockerExecutor
from gateway.executors.ordering import order_run
from gateway.executors.protocol import Run
from gateway.staging.environment import Occasion
from gateway.staging.workspace import Workspace, lay_out
from tests.contracts.container_engine import IMAGE, URL, make_image, open_engine
from tests.polling import until

pytestmark = pytest.mark.services
LOG_LIMIT = 1 << 20


@pytest.fixture
async def executor() -> AsyncIterator[DockerExecutor]:
    async with open_engine(log_limit=LOG_LIMIT) as executor:
        yield executor


@pytest.fixture
async def docker() -> AsyncIterator[Docker]:
    async with Docker(url=URL) as docker:
        yield docker


def prepared(
    executor: DockerExecutor, folder: Path, script: str, *, tied: bool = False, **of_service: Any
) -> Run:
    service = Service.model_validate({"name": "a", "image": IMAGE, "script": script, **of_service})
    workspace = lay_out(folder, service)
    (workspace.input_dir / "file").write_text("the input")
    run_id = f"{folder.parent.name}-{folder.name}".replace("_", "-")
    return order_run(executor, service, workspace, Occasion("file"), run_id=run_id, limit_s=20.0, tied=tied)


async def printed(executor: DockerExecutor, run: Run) -> str:
    await executor.start(run)
    await executor.wait(run.id, run.workspace)
    await executor.remove(run.id, run.workspace)
    return Workspace(run.workspace).stdout.read_text()


async def test_an_image_that_cannot_be_had_is_told_in_the_engines_words(
    executor: DockerExecutor, tmp_path: Path
) -> None:
    run = prepared(executor, tmp_path / "w", "echo", image="127.0.0.1:1/not/there:1")
    with pytest.raises(Invalid, match=r"cannot be had: .*connection refused"):
        await executor.start(run)
    assert not await executor.begun(run.id, run.workspace)


async def test_an_image_without_a_shell_is_told(executor: DockerExecutor, tmp_path: Path) -> None:
    await make_image("oscar-gateway-tests:empty", shell=False)
    run = prepared(executor, tmp_path / "w", "echo", image="oscar-gateway-tests:empty")
    with pytest.raises(Invalid, match="/bin/sh"):
        await executor.start(run)
    assert not await executor.begun(run.id, run.workspace)


async def test_an_image_with_a_user_and_an_entry_point_of_its_own_works_alike(
    executor: DockerExecutor, tmp_path: Path
) -> None:
    await make_image("oscar-gateway-tests:user", changes=["USER 1234:1234", 'ENTRYPOINT ["/bin/false"]'])
    script = 'cat "$INPUT_FILE_PATH"; cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/copy"; echo " $(id -u)"'
    run = prepared(executor, tmp_path / "w", script, image="oscar-gateway-tests:user")
    assert await printed(executor, run) == "the input 1234\n"
    assert (Workspace(run.workspace).output_dir / "copy").read_text() == "the input"


async def test_a_container_has_the_services_limits_and_gains_no_rights(
    executor: DockerExecutor, docker: Docker, tmp_path: Path
) -> None:
    run = prepared(executor, tmp_path / "w", "sleep 20", cpu="500m", memory="64Mi")
    await executor.start(run)
    host = (await docker.containers.container(f"oscar-gateway.{run.id}").show())["HostConfig"]
    await executor.remove(run.id, run.workspace)
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"]) == (64 << 20, 64 << 20, 500_000_000)
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["PidsLimit"] > 0
    assert not host["Binds"]


async def test_what_was_tied_to_an_earlier_life_is_ended_and_nobody_elses(tmp_path: Path) -> None:
    async with (
        open_engine(log_limit=LOG_LIMIT, home="other") as other,
        open_engine(log_limit=LOG_LIMIT) as killed,
    ):
        runs = {
            "tied": prepared(killed, tmp_path / "tied", "sleep 20", tied=True),
            "free": prepared(killed, tmp_path / "free", "sleep 20"),
            "next": prepared(killed, tmp_path / "next", "echo"),
        }
        others = prepared(other, tmp_path / "other", "sleep 20", tied=True)
        await other.start(others)
        await killed.start(runs["tied"])
        await killed.start(runs["free"])
        async with open_engine(log_limit=LOG_LIMIT) as reborn:
            await reborn.start(runs["next"])
            assert not await reborn.begun(runs["tied"].id, runs["tied"].workspace)
            assert await reborn.begun(runs["free"].id, runs["free"].workspace)
            assert await reborn.begun(others.id, others.workspace)
            for run in (*runs.values(), others):
                await reborn.remove(run.id, run.workspace)


async def test_a_container_that_was_made_and_never_started_is_made_anew(
    executor: DockerExecutor, docker: Docker, tmp_path: Path
) -> None:
    run = prepared(executor, tmp_path / "w", "echo anew")
    torn = {"Image": IMAGE, "Entrypoint": ["/bin/sh", "-c", "echo torn"]}
    await docker.containers.create(torn, name=f"oscar-gateway.{run.id}")
    assert not await executor.begun(run.id, run.workspace)
    assert await printed(executor, run) == "anew\n"


async def test_a_background_process_does_not_outlive_its_script(
    executor: DockerExecutor, tmp_path: Path
) -> None:
    run = prepared(executor, tmp_path / "w", "sleep 60 & echo end")
    await executor.start(run)
    ended = await executor.wait(run.id, run.workspace)
    await executor.remove(run.id, run.workspace)
    assert (ended.exit_code, ended.took_s < 10) == (0, True)


async def test_a_run_of_another_process_is_known_as_such_and_its_log_can_be_read(tmp_path: Path) -> None:
    async with (
        open_engine(log_limit=LOG_LIMIT, home="other") as other,
        open_engine(log_limit=LOG_LIMIT) as executor,
    ):
        run = prepared(other, tmp_path / "w", "echo told; sleep 20")
        assert not await executor.elsewhere(run.id)
        await other.start(run)
        assert await executor.elsewhere(run.id)
        assert not await other.elsewhere(run.id)
        folder = tmp_path / "read"
        folder.mkdir()

        async def told() -> bool:
            await executor.collect_log(run.id, folder)
            return Workspace(folder).stdout.read_text() == "told\n"

        await until(told)
        await other.remove(run.id, run.workspace)
        assert not await executor.elsewhere(run.id)


async def test_a_run_that_two_processes_start_runs_once(
    executor: DockerExecutor, docker: Docker, tmp_path: Path
) -> None:
    async with open_engine(log_limit=LOG_LIMIT, home="other") as other:
        mine = prepared(executor, tmp_path / "w", "echo once; sleep 20")
        theirs = replace(mine, workspace=tmp_path / "theirs")
        shutil.copytree(mine.workspace, theirs.workspace)
        await asyncio.gather(executor.start(mine), other.start(theirs))
        assert await executor.elsewhere(mine.id) != await other.elsewhere(mine.id)
        container = await docker.containers.container(f"oscar-gateway.{mine.id}").show()
        assert container["State"]["Running"]
        await executor.remove(mine.id, mine.workspace)
