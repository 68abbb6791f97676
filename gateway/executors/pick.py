"""Pick an executor by its URL. The one place that names implementations; what is not picked is not
imported."""

import hashlib

import structlog

from gateway.domain.problems import Unavailable
from gateway.executors.process import ProcessExecutor
from gateway.executors.protocol import Executor
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

    home = hashlib.sha256(str(settings.own_dir.absolute()).encode()).hexdigest()[:16]
    return DockerExecutor(
        Engine(settings.docker_url),
        home=home,
        log_limit=settings.log_limit,
        output_limit=settings.output_limit,
    )
