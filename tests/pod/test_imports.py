"""What runs beside a script begins anew in every pod: it imports little."""

import subprocess
import sys

import pytest

HEAVY = {
    "pydantic",
    "structlog",
    "aiohttp",
    "starlette",
    "uvicorn",
    "sqlalchemy",
    "kubernetes_asyncio",
    "minio",
}


@pytest.mark.parametrize("module", ["workers.pod.stage_in", "workers.pod.stage_out"])
def test_staging_in_a_pod_imports_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*(name.partition('.')[0] for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())
