"""Users of an identity provider, over HTTP: what they may call, what is theirs; nothing else opens."""

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway.actions.deploy_service import create_service
from gateway.api.guard import Access
from gateway.api.routes import OPERATIONS
from gateway.backends.identity.protocol import Caller
from tests.api.gateway_rig import Gateway, open_gateway
from tests.identity.issuer import Issuer, open_issuer, raw_token

ANSWER = "echo $INPUT_FILE_PATH > /dev/null; echo called"


@asynccontextmanager
async def open_both(folder: Path, **settings: Any) -> AsyncIterator[tuple[Gateway, Issuer]]:
    async with (
        open_issuer() as issuer,
        open_gateway(folder, oidc_issuers=issuer.url, **settings) as gateway,
    ):
        yield gateway, issuer


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def deploy_each(gateway: Gateway) -> None:
    await gateway.deploy("open", ANSWER, visibility="public")
    await gateway.deploy("shared", ANSWER, visibility="restricted", allowed_users=["ann"])
    await gateway.deploy("closed", ANSWER)


async def test_users_call_what_they_may_see(tmp_path: Path) -> None:
    async with open_both(tmp_path) as (gateway, issuer):
        await deploy_each(gateway)
        body = b'{"name": "anns", "image": "x", "script": "echo called", "visibility": "private"}'
        await create_service(gateway.backends, body, Caller("ann", admin=False))
        expected = {
            "ann": {"open": 200, "shared": 200, "anns": 200, "closed": 404, "absent": 404},
            "bob": {"open": 200, "shared": 404, "anns": 404, "closed": 404, "absent": 404},
        }
        for user, services in expected.items():
            mine = bearer(issuer.token(user))
            for service, status in services.items():
                run = await gateway.bare.post(f"/run/{service}", headers=mine)
                job = await gateway.bare.post(f"/job/{service}", headers=mine)
                probe = await gateway.bare.head(f"/job/{service}", headers=mine)
                assert run.status_code == status, (user, service)
                assert job.status_code == (201 if status == 200 else 404)
                assert probe.status_code == (200 if status == 200 else 401)
                assert run.text == ("called\n" if status == 200 else f"there is no service '{service}'")
        assert issuer.asked == {"openid-configuration": 1, "jwks": 1}
        lines = (await gateway.http.get("/system/logs")).json()["logs"]
        assert {line["user"] for line in lines if line["status"] in (200, 201)} == {"ann", "bob"}


async def test_every_other_route_is_refused_to_them(tmp_path: Path) -> None:
    """By the table: what says nothing is the administrator's alone."""
    async with open_both(tmp_path) as (gateway, issuer):
        await gateway.deploy("open", ANSWER, visibility="public")
        theirs = bearer(issuer.token("ann"))
        answered = {}
        for operation in OPERATIONS:
            path = re.sub(r"{\w+}", "open", operation.path)
            answer = await gateway.bare.request(operation.method, path, headers=theirs)
            answered[f"{operation.method} {operation.path}"] = answer.status_code
            if operation.access is Access.ADMINISTRATOR:
                assert answer.status_code == 403, path
                assert "only the administrator" in answer.text
        let_in = {name: status for name, status in answered.items() if status not in (401, 403)}
        assert let_in == {
            "GET /health": 200,
            "GET /ready": 200,
            "GET /openapi.json": 200,
            "POST /run/{service}": 200,
            "POST /job/{service}": 201,
            "HEAD /job/{service}": 200,
            "GET /v1/jobs/{job}": 404,
            "DELETE /v1/jobs/{job}": 404,
            "GET /v1/jobs/{job}/result": 404,
            "GET /v1/calls/{call}": 404,
            "GET /v1/calls/{call}/answer": 404,
        }
        claimed = {name for name, status in answered.items() if status == 401}
        assert claimed == {
            f"{one.method} {one.path}" for one in OPERATIONS if one.access in (Access.CLAIM, Access.EVENTS)
        }
        assert (await gateway.http.get("/system/services/open")).status_code == 200


async def test_jobs_are_theirs_who_made_them(tmp_path: Path) -> None:
    async with open_both(tmp_path) as (gateway, issuer):
        await gateway.deploy("open", ANSWER, visibility="public")
        await gateway.deploy("shared", ANSWER, visibility="restricted", allowed_users=["ann"])
        ann, bob = bearer(issuer.token("ann")), bearer(issuer.token("bob"))
        mine = (await gateway.bare.post("/job/open", headers=ann)).headers["X-OSCAR-Job-ID"]
        hidden = (await gateway.bare.post("/job/shared", headers=ann)).headers["X-OSCAR-Job-ID"]
        admins = await gateway.submit("open")
        for job in (mine, hidden, admins):
            await gateway.job(job)

        shown = await gateway.bare.get(f"/v1/jobs/{mine}", headers=ann)
        assert (shown.status_code, shown.json()["owner"]) == (200, "ann")
        assert (await gateway.bare.get(f"/v1/jobs/{mine}/result", headers=ann)).text == "called\n"
        assert (await gateway.bare.get(f"/v1/calls/{mine}/answer", headers=ann)).text == "called\n"
        assert (await gateway.bare.delete(f"/v1/jobs/{mine}", headers=ann)).status_code == 200
        for job, status in ((mine, 403), (admins, 403), (hidden, 404)):
            for method, path in (
                ("GET", f"/v1/jobs/{job}"),
                ("DELETE", f"/v1/jobs/{job}"),
                ("GET", f"/v1/jobs/{job}/result"),
                ("GET", f"/v1/calls/{job}"),
                ("GET", f"/v1/calls/{job}/answer"),
            ):
                answer = await gateway.bare.request(method, path, headers=bob)
                assert answer.status_code == status, path
                assert "called" not in answer.text


async def test_a_call_that_becomes_a_job_is_followed_by_who_made_it(tmp_path: Path) -> None:
    async with open_both(tmp_path) as (gateway, issuer):
        await gateway.deploy("open", ANSWER, visibility="public")
        token = await gateway.deploy("keyed", ANSWER, visibility="public")
        ann, bob = bearer(issuer.token("ann")), bearer(issuer.token("bob"))
        asked = await gateway.bare.post("/run/open", headers=ann | {"Prefer": "respond-async"})
        assert asked.status_code == 202
        status = asked.headers["Location"]
        ended = await gateway.bare.get(status, headers=ann | {"Prefer": "wait=10"})
        assert ended.status_code == 303
        assert (await gateway.bare.get(ended.headers["Location"], headers=ann)).text == "called\n"
        assert (await gateway.bare.get(status, headers=bob)).status_code == 403

        by_token = await gateway.bare.post("/run/keyed", headers=bearer(token) | {"Prefer": "respond-async"})
        status = by_token.headers["Location"]
        assert (await gateway.bare.get(status, headers=bearer(token))).status_code in (200, 303)
        assert (await gateway.bare.get(status, headers=ann)).status_code == 403


async def test_bad_tokens_are_401_everywhere_and_name_the_scheme(tmp_path: Path) -> None:
    async with open_both(tmp_path, oidc_groups="admins") as (gateway, issuer):
        await gateway.deploy("open", ANSWER, visibility="public")
        member: dict[str, Any] = {"group_membership": ["admins"]}
        tokens = {
            "no JWT": "x.y.z",
            "unsigned": raw_token({"alg": "none"}, issuer.claims("ann", **member)),
            "expired": issuer.token(exp=int(time.time()) - 60, **member),
            "another issuer": issuer.token(iss="https://evil.example.org", **member),
            "in no group": issuer.token(),
        }
        for what, token in tokens.items():
            for method, path in (("GET", "/system/services"), ("POST", "/run/open"), ("POST", "/job/open")):
                answer = await gateway.bare.request(method, path, headers=bearer(token))
                assert (answer.status_code, answer.content) == (401, b""), (what, path)
                assert answer.headers["www-authenticate"]
        good = bearer(issuer.token(**member))
        assert (await gateway.bare.post("/run/open", headers=good)).status_code == 200


async def test_an_issuer_that_is_away_is_503_for_its_users_and_nothing_for_the_administrator(
    tmp_path: Path,
) -> None:
    async with open_both(tmp_path) as (gateway, issuer):
        issuer.trouble["jwks"] = web.Response(status=500)
        token = await gateway.deploy("open", ANSWER, visibility="public")
        theirs = bearer(issuer.token("ann"))
        for method, path in (("GET", "/system/services"), ("POST", "/run/open"), ("POST", "/job/open")):
            answer = await gateway.bare.request(method, path, headers=theirs)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert (await gateway.http.post("/run/open")).status_code == 200
        assert (await gateway.bare.post("/run/open", headers=bearer(token))).status_code == 200


async def test_the_configuration_and_the_status_tell_of_issuers_and_groups(tmp_path: Path) -> None:
    async with open_both(tmp_path, oidc_groups="vo.example.org, admins") as (gateway, issuer):
        groups = ["vo.example.org", "admins"]
        config = (await gateway.http.get("/system/config")).json()["config"]
        assert config["oidc_groups"] == groups
        told = (await gateway.http.get("/system/status")).json()["oscar"]["oidc"]
        assert told == {"enabled": True, "issuers": [issuer.url], "groups": groups}


async def test_without_issuers_a_users_token_is_nothing(tmp_path: Path) -> None:
    async with open_issuer() as issuer, open_gateway(tmp_path) as gateway:
        await gateway.deploy("open", ANSWER, visibility="public")
        assert (await gateway.bare.post("/run/open", headers=bearer(issuer.token()))).status_code == 401
        assert not issuer.asked
