"""The executor's promises, held by every implementation: a new one adds its name to the list."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from gateway.domain.definition import Service
from gateway.domain.job import EndReason
from gateway.executors.process import ProcessExecutor
from gateway.executors.protocol import Ended, Executor, Run
from gateway.staging.environment import Occasion, script_environment
from gateway.staging.outputs import find_outputs
from gateway.staging.workspace import Workspace, lay_out, remove
from tests.contracts.container_engine import IMAGE
from tests.contracts.local_executor import LOG_LIMIT, open_executor
from tests.polling import until

EXECUTORS = ["process", pytest.param("docker", marks=pytest.mark.services)]
MEMORY = 96 << 20


@pytest.fixture(params=EXECUTORS)
async def executor(request: pytest.FixtureRequest) -> AsyncIterator[Executor]:
    async with open_executor(request.param) as executor:
        yield executor


def prepared(executor: Executor, folder: Path, script: str, **more: object) -> Run:
    """A run whose input file holds `the input`."""
    service = Service(name="tested", image=IMAGE, script=script)
    workspace = lay_out(folder, service)
    (workspace.input_dir / "file").write_bytes(b"the input")
    view = executor.view(folder)
    occasion = Occasion(input_file=f"{view.input_dir}/file")
    environment = script_environment(
        service, occasion, input_dir=view.input_dir, output_dir=view.output_dir, place=view.variables
    )
    run = Run(
        id=f"{folder.name}-{os.urandom(4).hex()}",
        image=IMAGE,
        workspace=folder,
        environment=environment,
        limit_s=20.0,
        memory_bytes=MEMORY,
        cpu_cores=1.0,
    )
    return replace(run, **more)  # type: ignore[arg-type]  # fields of Run


async def ran(executor: Executor, folder: Path, script: str, **more: object) -> Ended:
    run = prepared(executor, folder, script, **more)
    await executor.start(run)
    ended = await executor.wait(run.id, folder)
    await executor.remove(run.id, folder)
    return ended


def log_lines(folder: Path) -> list[str]:
    return [
        line.split(" ", 1)[1] for line in Workspace(folder).log.read_text("utf-8", "replace").splitlines()
    ]


async def test_a_script_reads_its_input_prints_and_leaves_outputs(executor: Executor, tmp_path: Path) -> None:
    script = 'cat "$INPUT_FILE_PATH"; echo oops >&2; cd "$TMP_OUTPUT_DIR"; mkdir sub; echo 1 > "sub/a b"'
    ended = await ran(executor, tmp_path / "w", script)
    workspace = Workspace(tmp_path / "w")
    assert (ended.reason, ended.exit_code, ended.detail) == (EndReason.EXITED, 0, "")
    assert workspace.stdout.read_bytes() == b"the input"
    assert sorted(log_lines(workspace.root)) == ["stderr F oops", "stdout F the input"]
    (output,) = find_outputs(workspace.output_dir, limit_bytes=1000).files
    assert (output.name, output.path.read_text()) == ("sub/a b", "1\n")


async def test_its_exit_status_is_told(executor: Executor, tmp_path: Path) -> None:
    ended = await ran(executor, tmp_path / "w", "exit 23")
    assert (ended.reason, ended.exit_code) == (EndReason.EXITED, 23)


async def test_a_script_sees_its_own_variables_and_none_of_ours(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSCAR_PASSWORD", "hidden")
    await ran(executor, tmp_path / "w", "env")
    seen = dict(line.split("=", 1) for line in Workspace(tmp_path / "w").stdout.read_text().splitlines())
    assert seen["OSCAR_SERVICE_NAME"] == "tested"
    assert "/bin" in seen["PATH"]
    assert "OSCAR_PASSWORD" not in seen


async def test_output_that_is_no_text_is_kept_byte_for_byte(executor: Executor, tmp_path: Path) -> None:
    await ran(executor, tmp_path / "w", r"printf '\377\000\376 end'")
    assert Workspace(tmp_path / "w").stdout.read_bytes() == b"\xff\x00\xfe end"


async def test_started_twice_it_runs_once(executor: Executor, tmp_path: Path) -> None:
    run = prepared(executor, tmp_path / "w", "echo ran")
    assert not await executor.begun(run.id, run.workspace)
    await asyncio.gather(executor.start(run), executor.start(run))
    assert await executor.begun(run.id, run.workspace)
    await executor.wait(run.id, run.workspace)
    await executor.start(run)
    ended = await executor.wait(run.id, run.workspace)
    assert (ended.reason, Workspace(run.workspace).stdout.read_text()) == (EndReason.EXITED, "ran\n")
    await executor.remove(run.id, run.workspace)


async def test_past_its_limit_it_is_ended_and_what_it_printed_is_kept(
    executor: Executor, tmp_path: Path
) -> None:
    ended = await ran(executor, tmp_path / "w", "echo begun; exec sleep 60", limit_s=0.5)
    assert ended.reason is EndReason.TIME_LIMIT
    assert 0.5 < ended.took_s < 10
    assert Workspace(tmp_path / "w").stdout.read_text() == "begun\n"


async def test_a_script_may_tidy_up_when_it_is_stopped(executor: Executor, tmp_path: Path) -> None:
    script = "trap 'echo tidied; exit 3' TERM; echo begun; while :; do sleep 0.05; done"
    run = prepared(executor, tmp_path / "w", script)
    await executor.start(run)
    await until_printed(executor, run, "begun")
    await executor.stop(run.id, run.workspace, reason=EndReason.CANCELLED)
    ended = await executor.wait(run.id, run.workspace)
    assert ended.reason is EndReason.CANCELLED
    assert Workspace(run.workspace).stdout.read_text() == "begun\ntidied\n"
    await executor.remove(run.id, run.workspace)


async def test_a_script_that_will_not_end_is_killed(executor: Executor, tmp_path: Path) -> None:
    run = prepared(executor, tmp_path / "w", "trap '' TERM; echo begun; while :; do sleep 1; done")
    await executor.start(run)
    await until_printed(executor, run, "begun")
    await executor.stop(run.id, run.workspace, reason=EndReason.CANCELLED)
    async with asyncio.timeout(10):
        assert (await executor.wait(run.id, run.workspace)).reason is EndReason.CANCELLED
    await executor.remove(run.id, run.workspace)


async def test_stopping_what_ended_or_never_was_is_fine(executor: Executor, tmp_path: Path) -> None:
    run = prepared(executor, tmp_path / "w", "exit 4")
    await executor.stop("nobody", tmp_path / "nothing", reason=EndReason.CANCELLED)
    await executor.start(run)
    await executor.wait(run.id, run.workspace)
    await executor.stop(run.id, run.workspace, reason=EndReason.CANCELLED)
    assert (await executor.wait(run.id, run.workspace)).exit_code == 4
    await executor.remove(run.id, run.workspace)
    await executor.remove(run.id, run.workspace)


async def test_more_memory_than_the_service_has_ends_it_with_that_reason(
    executor: Executor, tmp_path: Path
) -> None:
    # In shell variables: there is no interpreter in the smallest image.
    script = (
        "a=0123456789abcdef; for i in $(seq 18); do a=$a$a; done; "
        "for i in $(seq 50); do eval b$i=\\$a; sleep 0.05; done; echo survived"
    )
    ended = await ran(executor, tmp_path / "w", script, memory_bytes=32 << 20)
    assert ended.reason is EndReason.MEMORY_LIMIT, ended


async def test_it_goes_on_when_its_executor_ends_and_the_next_one_tells_its_end(
    executor: Executor, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    run = prepared(
        executor,
        tmp_path / "w",
        "sleep 0.6; echo end",
    )
    async with open_executor(request.node.callspec.params["executor"]) as first:
        await first.start(run)
    assert await executor.begun(run.id, run.workspace)
    ended = await executor.wait(run.id, run.workspace)
    assert (ended.reason, Workspace(run.workspace).stdout.read_text()) == (EndReason.EXITED, "end\n")
    await executor.remove(run.id, run.workspace)


async def test_what_is_gone_without_an_end_was_interrupted(executor: Executor, tmp_path: Path) -> None:
    run = prepared(executor, tmp_path / "w", "sleep 1")
    assert (await executor.wait(run.id, run.workspace)).reason is EndReason.INTERRUPTED


async def test_removing_a_run_ends_it(executor: Executor, tmp_path: Path) -> None:
    run = prepared(executor, tmp_path / "w", "echo begun; sleep 60", tied=True)
    await executor.start(run)
    await until_printed(executor, run, "begun")
    async with asyncio.timeout(10):
        await executor.remove(run.id, run.workspace)
        await executor.wait(run.id, run.workspace)


async def test_much_output_is_cut_at_its_limit_and_does_not_stop_the_script(
    executor: Executor, tmp_path: Path
) -> None:
    ended = await ran(executor, tmp_path / "w", "head -c 20000000 /dev/zero | tr '\\000' 'x'; exit 5")
    workspace = Workspace(tmp_path / "w")
    assert ended.exit_code == 5
    assert workspace.stdout_cut
    assert workspace.stdout.stat().st_size == LOG_LIMIT
    assert workspace.log.stat().st_size <= LOG_LIMIT + 200
    assert "LOG_LIMIT" in log_lines(workspace.root)[-1]


async def test_it_is_ready(executor: Executor) -> None:
    await executor.ready()


async def until_printed(executor: Executor, run: Run, text: str) -> None:
    async def printed() -> bool:
        await executor.collect_log(run.id, run.workspace)
        log = Workspace(run.workspace).log
        return log.exists() and text in log.read_text()

    await until(printed)


# Of processes alone.


@pytest.fixture
async def process() -> AsyncIterator[ProcessExecutor]:
    executor = ProcessExecutor(path="", log_limit=LOG_LIMIT, grace_s=0.4)
    yield executor
    await executor.close()


async def test_processes_left_behind_are_ended_however_well_they_hid(
    process: ProcessExecutor, tmp_path: Path
) -> None:
    script = (
        "sleep 60 & (setsid sh -c 'trap \"\" TERM HUP; sleep 60 & sleep 60') & "
        "(setsid sh -c 'setsid sleep 60 &' &) ; sleep 0.1; echo done"
    )
    ended = await ran(process, tmp_path / "w", script)
    assert (ended.exit_code, Workspace(tmp_path / "w").stdout.read_text()) == (0, "done\n")
    assert of_run(tmp_path / "w") == []


async def test_a_script_printing_hundreds_of_megabytes_ends_in_seconds(
    process: ProcessExecutor, tmp_path: Path
) -> None:
    ended = await ran(process, tmp_path / "w", "yes 'a line of some length' | head -c 200000000")
    assert ended.exit_code == 0
    assert ended.took_s < 10


async def test_a_background_process_holding_the_output_open_does_not_hold_up_the_end(
    process: ProcessExecutor, tmp_path: Path
) -> None:
    ended = await ran(process, tmp_path / "w", "sleep 60 & echo end")
    assert ended.took_s < 5


async def test_pipes_break_in_scripts_as_they_do_in_a_shell(process: ProcessExecutor, tmp_path: Path) -> None:
    ended = await ran(process, tmp_path / "w", "yes | head -n 1; cat; echo $?", limit_s=10)
    assert (ended.exit_code, Workspace(tmp_path / "w").stdout.read_text()) == (0, "y\n0\n")
    assert "Broken pipe" not in Workspace(tmp_path / "w").log.read_text()


async def test_a_script_that_cannot_be_started_says_why(process: ProcessExecutor, tmp_path: Path) -> None:
    run = prepared(process, tmp_path / "w", "echo never")
    huge = {**run.environment, "HUGE": "x" * (1 << 20)}
    await process.start(replace(run, environment=huge))
    ended = await process.wait(run.id, run.workspace)
    assert (ended.reason, ended.exit_code) == (EndReason.NOT_STARTED, None)
    assert "Argument list too long" in ended.detail


async def test_a_log_that_cannot_be_written_is_told_and_the_script_ends(
    process: ProcessExecutor, tmp_path: Path
) -> None:
    run = prepared(process, tmp_path / "w", "echo much; echo more >&2")
    Workspace(run.workspace).log.symlink_to("/dev/full")
    await process.start(run)
    ended = await process.wait(run.id, run.workspace)
    assert (ended.reason, ended.exit_code) == (EndReason.STAGING, 0)
    assert "No space left on device" in ended.detail


async def test_a_script_whose_workspace_was_removed_does_not_go_on_for_nobody(
    process: ProcessExecutor, tmp_path: Path
) -> None:
    run = prepared(process, tmp_path / "w", "sleep 60")
    await process.start(run)

    async def runs() -> bool:
        return len(of_run(run.workspace)) > 0

    await until(runs)
    remove(run.workspace)
    async with asyncio.timeout(10):
        assert (await process.wait(run.id, run.workspace)).reason is EndReason.INTERRUPTED
    assert of_run(run.workspace) == []


async def test_secrets_do_not_stay_on_the_disk(process: ProcessExecutor, tmp_path: Path) -> None:
    run = prepared(process, tmp_path / "w", "sleep 0.1")
    secret = {**run.environment, "KEY": "s3cret"}
    await process.start(replace(run, environment=secret))
    await process.wait(run.id, run.workspace)
    assert not any(b"s3cret" in path.read_bytes() for path in run.workspace.rglob("*") if path.is_file())


STARTER = """
import asyncio, os, signal, sys
from pathlib import Path
from gateway.executors.process import ProcessExecutor
from gateway.executors.protocol import Run

async def main(folder, tied):
    executor = ProcessExecutor(path="", log_limit=1 << 20, grace_s=0.4)
    view = executor.view(Path(folder))
    environment = {**view.variables, "TMP_INPUT_DIR": view.input_dir}
    await executor.start(Run("r", "", Path(folder), environment, 30.0, 1 << 28, 1.0, tied=tied))
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main(sys.argv[1], sys.argv[2] == "tied"))
"""


def started_and_killed(folder: Path, script: str, *, tied: bool) -> None:
    """By a process that was killed right after starting it."""
    lay_out(folder, Service(name="tested", image=IMAGE, script=script))
    how = "tied" if tied else "free"
    starter = subprocess.run([sys.executable, "-c", STARTER, str(folder), how], timeout=20, check=False)
    assert starter.returncode == -signal.SIGKILL


async def test_a_run_survives_the_kill_of_its_starter_and_is_adopted(
    process: ProcessExecutor, tmp_path: Path
) -> None:
    started_and_killed(tmp_path / "w", "sleep 0.5; echo survived", tied=False)
    assert await process.begun("r", tmp_path / "w")
    ended = await process.wait("r", tmp_path / "w")
    assert (ended.reason, ended.exit_code) == (EndReason.EXITED, 0)
    assert Workspace(tmp_path / "w").stdout.read_text() == "survived\n"


async def test_an_adopted_run_can_be_stopped(process: ProcessExecutor, tmp_path: Path) -> None:
    started_and_killed(tmp_path / "w", "sleep 60", tied=False)
    await process.stop("r", tmp_path / "w", reason=EndReason.CANCELLED)
    assert (await process.wait("r", tmp_path / "w")).reason is EndReason.CANCELLED


async def test_a_tied_run_ends_with_its_starter(process: ProcessExecutor, tmp_path: Path) -> None:
    started_and_killed(tmp_path / "w", "sleep 60", tied=True)
    async with asyncio.timeout(10):
        assert (await process.wait("r", tmp_path / "w")).reason is EndReason.INTERRUPTED
    assert of_run(tmp_path / "w") == []


async def test_a_killed_runner_leaves_no_script_behind(process: ProcessExecutor, tmp_path: Path) -> None:
    run = prepared(process, tmp_path / "w", "(setsid sleep 60 &); echo begun; sleep 60")
    await process.start(run)
    await until_printed(process, run, "begun")
    script = next(one for one in of_run(run.workspace) if one.cmdline()[0] == "/bin/sh")
    runner = script.parent()
    assert runner is not None
    runner.kill()

    async def script_gone() -> bool:
        return not script.is_running()

    await until(script_gone)
    assert (await process.wait(run.id, run.workspace)).reason is EndReason.INTERRUPTED

    async def all_gone() -> bool:
        return of_run(run.workspace) == []

    await until(all_gone)


def of_run(folder: Path) -> list[psutil.Process]:
    """Living processes that have the run's environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TMP_INPUT_DIR") == str(folder / "input"):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found
