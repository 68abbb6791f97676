"""Requests to an API server, and what becomes of its refusals."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from gateway.backends.cluster import ClusterConflict, QuotaExceeded, open_cluster
from gateway.domain.problems import Forbidden, Invalid, NotFound, Problem, TooLarge, Unavailable
from gateway.settings import Settings, SettingsError
from tests.cluster.scripted_server import cluster_of, status
from tests.servers.control_plane import write_kubeconfig

PATH = "/api/v1/namespaces/x/configmaps"


@pytest.mark.parametrize(
    ("code", "message", "problem"),
    [
        (400, "no such field", Invalid),
        (401, "", Unavailable),
        (403, 'User "system:serviceaccount:x:y" cannot create', Forbidden),
        (403, "exceeded quota: pods=3", QuotaExceeded),
        (404, "configmaps not found", NotFound),
        (413, "", TooLarge),
        (422, "metadata.name: Invalid value", Invalid),
        (429, "", Unavailable),
        (500, "", Unavailable),
        (503, "", Unavailable),
    ],
)
async def test_a_refusal_is_a_problem(
    tmp_path: Path, code: int, message: str, problem: type[Problem]
) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.json_response(status(code, message=message), status=code, headers={"Retry-After": "7"})

    async with cluster_of(refuse, tmp_path) as cluster:
        with pytest.raises(problem) as refused:
            await cluster.create(PATH, {})

    assert type(refused.value) is problem
    assert "serviceaccount" not in refused.value.detail
    if code in (429, 503):
        assert refused.value.retry_after_s == 7


@pytest.mark.parametrize("reason", ["AlreadyExists", "Conflict"])
async def test_the_two_conflicts_are_told_apart(tmp_path: Path, reason: str) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.json_response(status(409, reason, "it is so"), status=409)

    async with cluster_of(refuse, tmp_path) as cluster:
        with pytest.raises(ClusterConflict) as refused:
            await cluster.create(PATH, {})

    assert refused.value.reason == reason


async def test_deleting_what_is_not_there_is_no_problem(tmp_path: Path) -> None:
    async def absent(_: web.Request) -> web.Response:
        return web.json_response(status(404), status=404)

    async with cluster_of(absent, tmp_path) as cluster:
        assert await cluster.delete(f"{PATH}/a") is False


async def test_credentials_that_were_renewed_in_their_file_are_read_again(tmp_path: Path) -> None:
    seen: list[str] = []

    async def check(request: web.Request) -> web.Response:
        seen.append(request.headers["Authorization"])
        return web.json_response({}, status=200 if seen[-1] == "Bearer new" else 401)

    async with cluster_of(check, tmp_path, token="old") as cluster:
        url = str(cluster_url(tmp_path))
        write_kubeconfig(tmp_path / "kubeconfig", url, "new")
        assert await cluster.create(PATH, {}) == {}

    assert seen == ["Bearer old", "Bearer new"]


def cluster_url(folder: Path) -> str:
    text = (folder / "kubeconfig").read_text()
    return next(line.split()[-1] for line in text.splitlines() if "server:" in line)


async def test_a_server_that_is_away_is_unavailable_and_keeps_no_process_from_starting(
    tmp_path: Path,
) -> None:
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:1", "t")

    async with open_cluster(Settings(kubeconfig=str(kubeconfig))) as cluster:
        with pytest.raises(Unavailable) as refused:
            await cluster.get(PATH)

    assert "127.0.0.1" not in refused.value.detail
    assert refused.value.retry_after_s


@pytest.mark.parametrize("content", [None, "", "hush: [", "users: [{name: hush}]"])
async def test_a_configuration_that_cannot_be_used_names_the_setting(
    tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "kubeconfig").write_text(content)

    with pytest.raises(SettingsError, match=r"^KUBECONFIG: ") as refused:
        async with open_cluster(Settings(kubeconfig=str(tmp_path / "kubeconfig"))):
            pass

    assert "hush" not in str(refused.value)


async def test_a_log_is_passed_on_as_it_comes_and_may_be_left(tmp_path: Path) -> None:
    gone = asyncio.Event()

    async def follow(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"one\n")
                await asyncio.sleep(0.02)
        finally:
            gone.set()
        return response

    async with cluster_of(follow, tmp_path) as cluster:
        pieces = cluster.text(f"{PATH}/a/log", {"follow": "true"})
        assert await anext(pieces) == b"one\n"
        await pieces.aclose()
        async with asyncio.timeout(5):
            await gone.wait()


async def test_silence_longer_than_allowed_is_unavailable(tmp_path: Path) -> None:
    async def quiet(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.sleep(30)
        return response

    async with cluster_of(quiet, tmp_path) as cluster:
        with pytest.raises(Unavailable, match="no answer in time"):
            async for _ in cluster.text(PATH, idle_s=0.1):
                pass


async def test_no_line_of_the_log_holds_a_credential(tmp_path: Path) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.json_response(status(401), status=401)

    with capture_logs() as logs:
        async with cluster_of(refuse, tmp_path, token="hush-hush") as cluster:
            with pytest.raises(Unavailable) as refused:
                await cluster.get(PATH)

    seen: list[Any] = [logs, refused.value.detail, repr(refused.value), repr(cluster)]
    assert "hush" not in str(seen)
