"""The thirty cases by which OSCAR's clients tell a server that they can work with. Raw HTTP, as the named
client sends it.

oscar-cli: no Content-Type, chunked bodies; oscar-python: Base64 called JSON; the dashboard: Base64 called a
form; oscar-js: a JSON string called bytes.
"""

import asyncio
import base64
import io
import json
import zipfile
import zlib
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.actions.deploy_service import create_service
from gateway.backends.identity.protocol import Caller
from tests.api.gateway_rig import Gateway, eventually, open_gateway
from tests.identity.issuer import open_issuer, raw_token


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def chunked(body: bytes) -> AsyncIterator[bytes]:
    """As oscar-cli streams: no length."""
    for start in range(0, len(body), 1000):
        yield body[start : start + 1000]


async def cli_run(
    gateway: Gateway, service: str, body: bytes, kind: str = "run", **headers: str
) -> httpx.Response:
    client = gateway.bare if headers else gateway.http
    return await client.post(f"/{kind}/{service}", content=chunked(base64.b64encode(body)), headers=headers)


async def put_object(gateway: Gateway, bucket: str, key: str, content: bytes) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield content

    await gateway.backends.objects.put(bucket, key, body())


async def read_object(gateway: Gateway, bucket: str, key: str) -> bytes:
    return b"".join([chunk async for chunk in gateway.backends.objects.read(bucket, key)])


async def keys(gateway: Gateway, bucket: str, prefix: str = "") -> list[str]:
    return [stored.key for stored in (await gateway.backends.objects.list(bucket, prefix=prefix)).objects]


async def jobs_of(gateway: Gateway, service: str, count: int) -> list[dict[str, Any]]:
    """Its jobs, once there are so many and all have ended."""

    async def ended() -> list[dict[str, Any]]:
        jobs: list[dict[str, Any]] = (await gateway.http.get(f"/v1/jobs?service={service}")).json()["jobs"]
        return jobs if len(jobs) >= count and all(job["finished_at"] for job in jobs) else []

    return await eventually(ended)


def rule(path: str, **more: Any) -> dict[str, Any]:
    return {"storage_provider": "minio.default", "path": path, **more}


async def test_01_health_is_ok_with_and_without_credentials(gateway: Gateway) -> None:
    for client, auth in ((gateway.bare, None), (gateway.http, None), (gateway.bare, ("any", "body"))):
        answer = await client.get("/health", auth=auth or httpx.USE_CLIENT_DEFAULT)
        assert (answer.status_code, answer.content) == (200, b"Ok")


async def test_02_cluster_info_prints_five_fields_and_refuses_a_wrong_password(gateway: Gateway) -> None:
    info = (await gateway.http.get("/system/info")).json()
    assert {"version", "git_commit", "architecture", "kubernetes_version", "serverless_backend"} <= set(info)
    assert (await gateway.bare.get("/system/info", auth=("oscar", "wrong"))).status_code == 401


async def test_03_system_paths_without_credentials_are_401_and_no_page(gateway: Gateway) -> None:
    for path in (
        "info",
        "config",
        "config/",
        "services",
        "services/x",
        "buckets",
        "logs",
        "logs/x",
        "status",
    ):
        answer = await gateway.bare.get(f"/system/{path}")
        assert (answer.status_code, answer.content) == (401, b"")
        assert answer.headers["www-authenticate"] == 'Basic realm="Authorization Required"'


async def test_04_config_is_the_same_with_a_trailing_slash(gateway: Gateway) -> None:
    plain, slash = [await gateway.http.get(path) for path in ("/system/config", "/system/config/")]
    assert plain.json() == slash.json()
    config = slash.json()
    assert config["config"]["name"]
    assert isinstance(config["config"]["oidc_groups"], list)
    types = {"access_key": str, "secret_key": str, "region": str, "endpoint": str, "verify": bool}
    assert {key: type(value) for key, value in config["minio_provider"].items()} == types


async def test_05_apply_creates_and_then_updates(gateway: Gateway) -> None:
    http, body = (
        gateway.http,
        json.dumps({"name": "cowsay", "image": "ghcr.io/grycap/cowsay", "script": "cowsay"}),
    )
    assert (await http.get("/system/config")).status_code == 200
    assert (await http.get("/system/services/cowsay")).status_code == 404
    assert (await http.post("/system/services", content=body)).status_code == 201
    listed = (await http.get("/system/services")).json()
    (cowsay,) = [service for service in listed if service["name"] == "cowsay"]
    assert all(isinstance(cowsay[key], str) for key in ("name", "image", "cpu", "memory"))
    assert (await http.get("/system/services/cowsay")).status_code == 200
    assert (await http.put("/system/services", content=body)).status_code == 204
    await http.delete("/system/services/cowsay")


@pytest.mark.parametrize("content_type", ["", "text/json", "application/json"])
async def test_06_the_content_type_does_not_matter(gateway: Gateway, content_type: str) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    body = json.dumps({"name": "typed", "image": "x", "script": "y"})
    created = await gateway.http.post("/system/services", content=body, headers=headers)
    assert (created.status_code, created.content) == (201, b"")
    await gateway.http.delete("/system/services/typed")
    broken = await gateway.http.post("/system/services", content=body[:-1], headers=headers)
    assert broken.status_code == 400
    assert len(broken.text.splitlines()) == 1


ZERO_STRUCT: dict[str, Any] = {
    "name": "zeros",
    "image": "x",
    "script": "echo zeros",
    "memory": "",
    "cpu": "",
    "total_memory": "",
    "total_cpu": "",
    "enable_gpu": False,
    "enable_sgx": False,
    "image_prefetch": False,
    "log_level": "",
    "synchronous": {"min_scale": 0, "max_scale": 0},
    "replicas": None,
    "rescheduler_threshold": "",
    "token": "",
    "image_pull_secrets": None,
    "cluster_id": "here",
    "delegation": "",
    "input": None,
    "output": None,
    "labels": None,
    "annotations": None,
    "allowed_users": None,
    "environment": {"Variables": None},
    "mount": {"storage_provider": "", "path": ""},
    "expose": {
        "min_scale": 0,
        "max_scale": 0,
        "api_port": 0,
        "cpu_threshold": 0,
        "nodePort": 0,
        "set_auth": False,
        "rewrite_target": False,
        "default_command": False,
    },
    "storage_providers": None,
    "clusters": {
        "here": {
            "endpoint": "http://gateway",
            "auth_user": "oscar",
            "auth_password": "in the clear",
            "ssl_verify": False,
        }
    },
}
"""What oscar-cli 1.x sends for a service that says next to nothing."""


async def test_07_a_struct_full_of_zeros_means_not_given(
    gateway: Gateway, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    created = await gateway.http.post("/system/services", content=json.dumps(ZERO_STRUCT))
    assert created.status_code == 201, created.text
    shown = await gateway.http.get("/system/services/zeros")
    assert (shown.json()["memory"], shown.json()["cpu"]) == ("256Mi", "0.2")
    assert "api_port" not in shown.json()["expose"]
    assert b'"mount":{"storage_provider":"","path":""}' in shown.content
    told = shown.text + caplog.text + "".join(capsys.readouterr())
    assert "in the clear" not in told


async def test_08_unknown_keys_are_ignored_and_variables_come_in_both_spellings(gateway: Gateway) -> None:
    unknown = {"imageRules": [], "valid": True, "limitsMemory": "x", "imagePullSecrets": None}
    for number, spelling in enumerate(("Variables", "variables")):
        name = f"spelled-{number}"
        await gateway.deploy(
            name, "echo $Mixed_Case", environment={spelling: {"Mixed_Case": "kept"}}, **unknown
        )
        assert (await gateway.http.post(f"/run/{name}")).text == "kept\n"


async def test_09_existing_names_conflict_and_unknown_ones_are_404(gateway: Gateway) -> None:
    await gateway.deploy("exists", "echo first")
    body = {"name": "exists", "image": "x", "script": "echo second"}
    again = await gateway.http.post("/system/services", json=body)
    assert again.status_code == 409
    assert again.text
    assert (await gateway.http.get("/system/services/exists")).json()["script"] == "echo first"
    assert (await gateway.http.put("/system/services", json={**body, "name": "unknown"})).status_code == 404
    assert (await gateway.http.get("/system/services/unknown")).status_code == 404
    assert (await gateway.http.delete("/system/services/unknown")).status_code == 404


async def test_10_a_service_is_shown_with_what_the_server_sets(gateway: Gateway) -> None:
    await gateway.deploy("shown", "one\r\ntwo\r", log_level="LOUD")
    shown = (await gateway.http.get("/system/services/shown")).json()
    assert len(shown["token"]) == 64
    assert shown["owner"]
    assert shown["labels"]["oscar_service"] == "shown"
    assert isinstance(shown["expose"], dict)
    assert (shown["visibility"], shown["memory"], shown["cpu"]) == ("private", "256Mi", "0.2")
    assert (shown["log_level"], shown["script"]) == ("INFO", "one\ntwo\n")
    assert isinstance(shown["allowed_users"], list)


async def test_11_the_list_is_an_array_with_compact_separators(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, working=False) as gateway:
        assert (await gateway.http.get("/system/services")).content == b"[]"
        await gateway.deploy("alone", mount=rule("alone-mount"))
        listed = (await gateway.http.get("/system/services")).content
    assert b'[{"name":"alone"' in listed
    assert b'"mount":{"storage_provider":"minio.default","path":"alone-mount"}' in listed
    assert b'"oscar_service":"alone"' in listed
    assert b"api_port" not in listed
    assert b"nodePort" not in listed


async def test_12_oscar_cli_runs_with_a_token(gateway: Gateway) -> None:
    token = await gateway.deploy("cli-token")
    answer = await cli_run(gateway, "cli-token", b'{"message":"hi"}', **bearer(token))
    assert (answer.status_code, answer.text) == (200, '{"message":"hi"}')


async def test_13_oscar_cli_runs_without_a_token_in_both_versions(gateway: Gateway) -> None:
    await gateway.deploy("cli-basic")
    assert (await cli_run(gateway, "cli-basic", b"version 1")).text == "version 1"
    token = (await gateway.http.get("/system/services/cli-basic")).json()["token"]
    assert (await cli_run(gateway, "cli-basic", b"version 2", **bearer(token))).text == "version 2"


async def test_14_wrong_tokens_are_401_unknown_services_404_and_nothing_runs(
    gateway: Gateway, tmp_path: Path
) -> None:
    await gateway.deploy("guarded", f"touch {tmp_path}/ran")
    other = await gateway.deploy("stranger")
    for headers in (bearer("0" * 64), {}, bearer(other)):
        assert (await gateway.bare.post("/run/guarded", headers=headers)).status_code == 401
    assert (await gateway.bare.post("/run/nothing", headers=bearer(other))).status_code == 404
    assert (await gateway.http.post("/run/nothing")).status_code == 404
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", base64.b64encode(b"the intended bytes")),
        ("application/x-www-form-urlencoded", base64.b64encode(b"the intended bytes")),
        ("application/octet-stream", json.dumps(base64.b64encode(b"the intended bytes").decode()).encode()),
        ("", base64.encodebytes(b"the intended bytes")),
    ],
    ids=["oscar-python", "dashboard", "oscar-js", "base64 of a shell"],
)
async def test_15_every_client_delivers_the_intended_bytes(
    gateway: Gateway, content_type: str, body: bytes
) -> None:
    name = "bytes-" + (content_type[12:16] or "none")
    await gateway.deploy(name)
    headers = {"Content-Type": content_type} if content_type else {}
    answer = await gateway.http.post(f"/run/{name}", content=body, headers=headers)
    assert answer.content == b"the intended bytes"
    raw = await gateway.http.post(f"/run/{name}", content=b'{"a":[1]}', headers={"Content-Type": "text/json"})
    assert raw.content == b'{"a":[1]}'
    await gateway.http.delete(f"/system/services/{name}")


async def test_16_one_file_is_base64_two_a_zip_none_the_text_without_other_lines(gateway: Gateway) -> None:
    script = 'echo to the log >&2; /bin/sh "$INPUT_FILE_PATH"'
    await gateway.deploy("answers", script, log_level="DEBUG")
    one = await cli_run(gateway, "answers", b'printf "\\377\\001" > "$TMP_OUTPUT_DIR/out.png"')
    assert base64.b64decode(one.text, validate=True) == b"\xff\x01"
    two = await cli_run(gateway, "answers", b'cd "$TMP_OUTPUT_DIR"; mkdir d; echo 1 > a; echo 2 > d/b')
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(two.text, validate=True))) as archive:
        assert sorted(archive.namelist()) == ["a", "d/b"]
    assert (await cli_run(gateway, "answers", b"echo text")).text == "text\n"


async def test_17_bodies_of_every_kind_survive(gateway: Gateway) -> None:
    await gateway.deploy("survives")
    for content in (b"", bytes(1000), bytes(range(256)) * 31_000, "ñandú 漢字".encode()):
        answer = await gateway.http.post("/run/survives", content=base64.b64encode(content))
        assert (answer.status_code, answer.content) == (200, content)
    plain = await gateway.http.post("/run/survives", content=b"plain text, not Base64!")
    assert (plain.status_code, plain.content) == (200, b"plain text, not Base64!")


async def test_18_a_job_is_accepted_while_its_script_still_runs(gateway: Gateway) -> None:
    await gateway.deploy("slowly", "sleep 60")
    async with asyncio.timeout(1):
        answer = await cli_run(gateway, "slowly", b"x", kind="job")
    assert (answer.status_code, answer.content) == (201, b"")
    assert answer.headers["x-oscar-job-id"].startswith("slowly-")
    await gateway.http.delete("/system/services/slowly")


async def test_19_the_job_list_has_states_and_times_with_a_zone(gateway: Gateway) -> None:
    await gateway.deploy("states", '/bin/sh "$INPUT_FILE_PATH"')
    ids = {
        "Succeeded": await gateway.submit("states", b"exit 0 #"),
        "Failed": await gateway.submit("states", b"exit 1 #"),
        "Running": await gateway.submit("states", b"sleep 60 #"),
    }
    await gateway.job(ids["Succeeded"])
    await gateway.job(ids["Failed"])
    await gateway.in_state(ids["Running"], "running")
    answer = await gateway.http.get("/system/logs/states?page=")
    jobs = answer.json()["jobs"]
    assert {status: jobs[job]["status"] for status, job in ids.items()} == {status: status for status in ids}
    times = [value for job in jobs.values() for key, value in job.items() if key.endswith("_time")]
    assert all(datetime.fromisoformat(time).tzinfo is not None for time in times)
    assert "finish_time" not in jobs[ids["Running"]]
    assert b"null" not in answer.content
    running = (await gateway.http.get("/system/logs/states?status=running")).json()["jobs"]
    assert list(running) == [ids["Running"]]
    await gateway.http.delete("/system/services/states")


async def test_20_pages_of_jobs_follow_without_gaps_or_repeats(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, working=False, job_listing_limit=2) as gateway:
        await gateway.deploy("pages")
        submitted = [await gateway.submit("pages") for _ in range(5)]
        first = (await gateway.http.get("/system/logs/pages?page=")).json()
        second = (await gateway.http.get("/system/logs/pages", params={"page": first["next_page"]})).json()
        third = (await gateway.http.get("/system/logs/pages", params={"page": second["next_page"]})).json()
    assert [*first["jobs"], *second["jobs"], *third["jobs"]] == submitted[::-1]
    assert "next_page" not in third


async def test_21_a_log_is_text_with_both_streams(gateway: Gateway) -> None:
    await gateway.deploy("streams", "echo out; echo err >&2")
    await gateway.deploy("stranger-21")
    job = await gateway.submit("streams")
    await gateway.job(job)
    log = await gateway.http.get(f"/system/logs/streams/{job}")
    assert log.headers["content-type"].startswith("text/plain")
    assert sorted(log.text.splitlines()) == ["err", "out"]
    for line in (await gateway.http.get(f"/system/logs/streams/{job}?timestamps=true")).text.splitlines():
        assert datetime.fromisoformat(line.split(" ")[0][:26] + "Z").tzinfo is not None
    assert (await gateway.http.get(f"/system/logs/stranger-21/{job}")).status_code == 404


async def test_22_deleting_succeeded_jobs_leaves_the_others_and_all_leaves_none(gateway: Gateway) -> None:
    await gateway.deploy("deletes", '/bin/sh "$INPUT_FILE_PATH"')
    good, bad = [await gateway.submit("deletes", body) for body in (b"exit 0 #", b"exit 1 #")]
    await gateway.job(good)
    await gateway.job(bad)
    assert (await gateway.http.delete("/system/logs/deletes")).status_code == 204
    assert list((await gateway.http.get("/system/logs/deletes")).json()["jobs"]) == [bad]
    assert (await gateway.http.delete("/system/logs/deletes?all=true")).status_code == 204
    assert (await gateway.http.get("/system/logs/deletes")).json() == {"jobs": {}}
    one = await gateway.submit("deletes", b"exit 0 #")
    await gateway.job(one)
    statuses = [(await gateway.http.delete(f"/system/logs/deletes/{one}")).status_code for _ in range(2)]
    assert statuses == [204, 404]


async def test_23_a_deleted_service_takes_all_that_was_its_own_along(gateway: Gateway) -> None:
    await gateway.http.post("/system/buckets", json={"bucket_name": "mounted"})
    token = await gateway.deploy(
        "whole", input=[rule("whole/in")], output=[rule("whole-out")], mount=rule("mounted")
    )
    job = await gateway.submit("whole")
    await gateway.job(job)
    assert (await gateway.http.delete("/system/services/whole")).status_code == 204
    assert (await gateway.bare.post("/run/whole", headers=bearer(token))).status_code == 404
    assert (await gateway.http.get(f"/v1/jobs/{job}")).status_code == 404
    assert (await gateway.http.get("/system/logs/whole")).status_code == 404
    buckets = [bucket["bucket_name"] for bucket in (await gateway.http.get("/system/buckets")).json()]
    assert "mounted" in buckets
    assert not {"whole", "whole-out"} & set(buckets)


@pytest.mark.parametrize("name", ["x.txt", "with blanks.txt", "one+one.txt", "ñandú 漢字.txt"])
async def test_24_a_file_put_into_a_bucket_starts_one_job_with_that_file(gateway: Gateway, name: str) -> None:
    service = f"put-{zlib.crc32(name.encode())}"
    script = 'printf %s "$STORAGE_OBJECT_KEY" > "$TMP_OUTPUT_DIR/$(basename "$INPUT_FILE_PATH")"'
    await gateway.deploy(
        service, script, input=[rule(f"{service}/input")], output=[rule(f"{service}/output")]
    )
    await put_object(gateway, service, f"input/{name}", b"content")
    (job,) = await jobs_of(gateway, service, 1)
    assert (job["state"], job["cause"]) == ("succeeded", "event")
    assert await keys(gateway, service, "output/") == [f"output/{name}"]
    assert (await read_object(gateway, service, f"output/{name}")).decode() == f"input/{name}"


async def test_25_output_rules_filter_and_own_output_starts_nothing(gateway: Gateway) -> None:
    script = 'cd "$TMP_OUTPUT_DIR"; echo 1 > one.txt; echo 2 > two.png; mkdir d; echo 3 > d/one.txt'
    output = [
        rule("rules/text", suffix=["txt"]),
        rule("rules/ones", prefix=["one"]),
        rule("rules/in/again", suffix=["png"]),
    ]
    await gateway.deploy("rules", script, input=[rule("rules/in")], output=output)
    await put_object(gateway, "rules", "in/go", b"")
    (job,) = await jobs_of(gateway, "rules", 1)
    assert job["state"] == "succeeded"
    expected = ["in/again/two.png", "in/go", "ones/one.txt", "text/d/one.txt", "text/one.txt"]
    assert await keys(gateway, "rules") == expected
    assert sorted(one["key"] for one in job["outputs"]) == [key for key in expected if key != "in/go"]
    assert len((await gateway.http.get("/v1/jobs?service=rules")).json()["jobs"]) == 1


async def test_26_buckets_go_through_their_life(gateway: Gateway) -> None:
    http = gateway.http
    assert (await http.post("/system/buckets", json={"bucket_name": "case-26"})).status_code == 201
    assert b'"bucket_name":"case-26","visibility":"private"' in (await http.get("/system/buckets")).content
    for visibility in ("public", "restricted", "private"):
        body: dict[str, Any] = {"bucket_name": "case-26", "visibility": visibility, "allowed_users": []}
        assert (await http.put("/system/buckets", json=body)).status_code == 204
    for key in ("a", "b"):
        await put_object(gateway, "case-26", key, b"x")
    first = (await http.get("/system/buckets/case-26?limit=1&page=")).json()
    assert (first["is_truncated"], first["returned_items"]) == (True, 1)
    second = (
        await http.get("/system/buckets/case-26", params={"limit": "1", "page": first["next_page"]})
    ).json()
    assert [entry["object_name"] for entry in (*first["objects"], *second["objects"])] == ["a", "b"]
    assert second["is_truncated"] is False
    statuses = [(await http.delete("/system/buckets/case-26")).status_code for _ in range(2)]
    assert statuses == [204, 404]


async def test_27_links_work_with_plain_http_until_they_expire(gateway: Gateway) -> None:
    await gateway.http.post("/system/buckets", json={"bucket_name": "case-27"})

    async def link(operation: str, given: dict[str, int], bucket: str = "case-27") -> httpx.Response:
        body = {"object_key": "a file", "operation": operation, "extra_headers": {}, **given}
        return await gateway.http.post(f"/system/buckets/{bucket}/presign", json=body)

    for given in ({"expires": 60}, {"expires_in": 60}, {}):
        upload = (await link("upload", given)).json()["url"]
        assert (await gateway.store.put(upload, content=b"content")).status_code == 200
        download = (await link("download", given)).json()["url"]
        assert (await gateway.store.get(download)).content == b"content"
        assert (await gateway.store.put(download, content=b"other")).status_code == 403
    short = (await link("download", {"expires": 1})).json()["url"]

    async def refused() -> bool:
        return (await gateway.store.get(short)).status_code == 403

    assert await eventually(refused)
    assert (await link("download", {}, bucket="absent")).status_code == 404


async def test_28_an_update_keeps_secrets_jobs_and_owner_and_counts_at_once(gateway: Gateway) -> None:
    definition = {"environment": {"secrets": {"KEY": "hush"}}}
    token = await gateway.deploy("updates", "echo one $KEY", **definition)
    job = await gateway.submit("updates")
    await gateway.job(job)
    body = {"name": "updates", "image": "x", "script": "echo two $KEY"}
    assert (await gateway.http.put("/system/services", json=body)).status_code == 204
    shown = (await gateway.http.get("/system/services/updates")).json()
    assert (shown["token"], shown["owner"]) == (token, "cluster_admin")
    assert (await gateway.http.get(f"/v1/jobs/{job}")).status_code == 200
    assert (await gateway.http.post("/run/updates")).text == "two hush\n"
    again = await gateway.submit("updates")
    await gateway.job(again)
    assert (await gateway.http.get(f"/v1/jobs/{again}/result")).text == "two hush\n"


async def test_29_secrets_reach_the_script_and_nobody_else(gateway: Gateway) -> None:
    secret = {"environment": {"secrets": {"PASS": "do not tell"}, "variables": {"SEEN": "yes"}}}
    await gateway.deploy("secretive", 'test "${#PASS}" = 11 && echo $SEEN', **secret)
    assert (await gateway.http.post("/run/secretive")).text == "yes\n"
    for path in ("/system/services/secretive", "/system/services"):
        answer = await gateway.http.get(path)
        assert "do not tell" not in answer.text
    shown = (await gateway.http.get("/system/services/secretive")).json()
    assert shown["environment"]["secrets"] == {"PASS": ""}


async def test_30_users_of_an_identity_provider_call_what_is_theirs(tmp_path: Path) -> None:
    """But for deploying and listing, which are the administrator's: 403."""
    async with (
        open_issuer() as issuer,
        open_gateway(tmp_path, oidc_issuers=issuer.url, oidc_groups="admins") as gateway,
    ):
        group: dict[str, Any] = {"group_membership": ["admins"]}
        ann, bob = [bearer(issuer.token(name, **group)) for name in ("ann", "bob")]
        for visibility in ("private", "restricted", "public"):
            definition = {"name": visibility, "image": "x", "script": "echo hi", "allowed_users": ["bob"]}
            body = json.dumps(definition | {"visibility": visibility}).encode()
            await create_service(gateway.backends, body, Caller("ann", admin=False))
        for user, private in ((ann, 200), (bob, 404)):
            assert (await gateway.bare.get("/system/services", headers=user)).status_code == 403
            assert (await gateway.bare.get("/system/services/private", headers=user)).status_code == 403
            for service, status in (("private", private), ("restricted", 200), ("public", 200)):
                assert (await gateway.bare.post(f"/run/{service}", headers=user)).status_code == status
        eve = bearer(issuer.token("eve", **group))
        assert (await gateway.bare.post("/run/restricted", headers=eve)).status_code == 404
        expired, elsewhere = (
            issuer.token("ann", exp=1, **group),
            issuer.token("ann", iss="https://x", **group),
        )
        unsigned = raw_token({"alg": "none"}, issuer.claims("ann", **group))
        for token in (expired, unsigned, elsewhere, issuer.token("ann", group_membership=["others"])):
            for method, path in (
                ("GET", "/system/services"),
                ("POST", "/run/public"),
                ("POST", "/job/public"),
            ):
                answer = await gateway.bare.request(method, path, headers=bearer(token))
                assert answer.status_code == 401
