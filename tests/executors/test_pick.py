"""Which executor a URL picks."""

from pathlib import Path

import pytest

from gateway.executors.pick import open_executor
from gateway.executors.process import ProcessExecutor
from gateway.settings import Settings, SettingsError


@pytest.mark.parametrize("url", ["process:", "auto:"])
async def test_without_an_engine_scripts_run_as_processes(url: str, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, docker_url=f"unix://{tmp_path}/nobody.sock")
    executor = await open_executor(url, settings)
    assert isinstance(executor, ProcessExecutor)
    await executor.ready()
    await executor.close()


async def test_an_engine_that_is_asked_for_and_away_is_told(tmp_path: Path) -> None:
    executor = await open_executor(
        "docker:", Settings(data_dir=tmp_path, docker_url=f"unix://{tmp_path}/nobody.sock")
    )
    with pytest.raises(Exception, match="does not answer"):
        await executor.ready()
    await executor.close()


async def test_any_other_url_is_refused_by_its_settings_name() -> None:
    with pytest.raises(SettingsError, match="LAUNCHER_URL"):
        await open_executor("knative:", Settings())


async def test_scripts_have_the_path_of_the_settings(tmp_path: Path) -> None:
    executor = await open_executor("process:", Settings(process_path="/mine:/bin"))
    assert executor.view(tmp_path).variables["PATH"] == "/mine:/bin"
    await executor.close()
