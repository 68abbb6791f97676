"""Pick an executor by its URL. The one place that names implementations; what is not picked is not
imported."""

import secrets
from pathlib import Path

import structlog

from gateway.domain.problems import Unavailable
from gateway.executors.process import ProcessExecutor
from gateway.executors.protocol import Executor
from gateway.private_file import create_file, make_folder
from gateway.settings import Settings, SettingsError

log = structlog.get_logger(__name__)


async def open_executor(url: str, settings: Settings) -> Executor:
    """`process:`, `docker:`, or `auto:` for containers where an engine answers now, else processes. Whoever
    opens it closes it. Raises SettingsError for any other."""
    match url.partition(":")[0]:
        case "process":
            return _process(settings)
        case "docker":
            return _docker(settings)
        case "auto":
            return await _either(settings)
        case _:
            raise SettingsError("INVOKER_URL, LAUNCHER_URL: `process:`, `docker:` or `auto:`")


async def _either(settings: Settings) -> Executor:
    docker = _docker(settings)
    try:
        await docker.ready()
    except Unavailable as problem:
        await docker.close()
        log.info("executor.picked", kind="process", why=problem.detail)
        return _process(settings)
    log.info("executor.picked", kind="docker")
    return docker


def _process(settings: Settings) -> Executor:
    return ProcessExecutor(path=settings.process_path, log_limit=settings.log_limit)


def _docker(settings: Settings) -> Executor:
    from gateway.executors.docker import DockerExecutor  # noqa: PLC0415  # optional: only where it is picked
    from gateway.executors.engine import Engine  # noqa: PLC0415

    return DockerExecutor(
        Engine(settings.docker_url),
        home=_home(settings.own_dir),
        log_limit=settings.log_limit,
        output_limit=settings.output_limit,
    )


def _home(own_dir: Path) -> str:
    """A name for a process's folder that no other on the engine has, made once: in containers all have the
    same path. Raises SettingsError."""
    file = own_dir / "engine-home"
    try:
        if not file.exists():
            make_folder(own_dir)
            create_file(file, secrets.token_hex(8).encode())
        return file.read_text()
    except OSError as error:
        raise SettingsError(f"DATA_DIR: {file.name} cannot be kept there: {error.strerror}") from error
