"""`/system/services` and their deployments, as the clients ask."""

import pytest

from tests.api.gateway_rig import Gateway

DEFINITION = {"name": "defined", "image": "example.org/none", "script": "echo hello\r\n"}


async def test_a_service_is_created_read_replaced_and_removed(gateway: Gateway) -> None:
    http = gateway.http
    created = await http.post("/system/services", json=DEFINITION)
    assert (created.status_code, created.content) == (201, b"")
    shown = (await http.get("/system/services/defined")).json()
    assert (len(shown["token"]), shown["owner"], shown["script"]) == (64, "cluster_admin", "echo hello\n")
    updated = await http.put("/system/services", json={**DEFINITION, "memory": "1Gi"})
    assert (updated.status_code, updated.content) == (204, b"")
    after = (await http.get("/system/services/defined")).json()
    assert (after["memory"], after["token"]) == ("1Gi", shown["token"])
    removed = await http.delete("/system/services/defined")
    assert (removed.status_code, removed.content) == (204, b"")
    assert (await http.get("/system/services/defined")).status_code == 404


async def test_what_is_not_there_is_404_and_what_is_there_already_409(gateway: Gateway) -> None:
    absent = {**DEFINITION, "name": "absent"}
    assert (await gateway.http.put("/system/services", json=absent)).status_code == 404
    assert (await gateway.http.get("/system/services/absent")).status_code == 404
    assert (await gateway.http.delete("/system/services/absent")).status_code == 404
    await gateway.deploy("taken")
    again = await gateway.http.post("/system/services", json={**DEFINITION, "name": "taken"})
    assert again.status_code == 409
    assert "taken" in again.text
    assert (await gateway.http.get("/system/services/taken")).json()["script"] == "cat $INPUT_FILE_PATH"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"", ""),
        (b"{", ""),
        (b'{"name": "x", "image": "y"}', "script"),
        (b'{"name": "../x", "image": "y", "script": "z"}', "name"),
        (b'{"name": "x", "image": "y", "script": "z", "input": [{"path": 5}]}', "input[0].path"),
    ],
)
async def test_a_definition_that_is_wrong_is_refused_in_one_line_naming_the_field(
    gateway: Gateway, body: bytes, named: str
) -> None:
    answer = await gateway.http.post("/system/services", content=body)
    assert answer.status_code == 400
    assert answer.text.startswith(named)
    assert answer.text.strip()
    assert "\n" not in answer.text


async def test_a_definition_beyond_the_limit_is_refused(gateway: Gateway) -> None:
    body = b'{"name": "huge", "image": "x", "script": "' + b"x" * (5 << 20) + b'"}'
    assert (await gateway.http.post("/system/services", content=body)).status_code == 413


async def test_the_list_is_a_compact_array(gateway: Gateway) -> None:
    await gateway.deploy("listed")
    answer = await gateway.http.get("/system/services")
    assert answer.headers["content-type"].startswith("application/json")
    assert b'"name":"listed"' in answer.content
    names = [service["name"] for service in answer.json()]
    assert names == sorted(names)


async def test_the_deployment_comes_along_when_asked_for(gateway: Gateway) -> None:
    await gateway.deploy("deployed")
    one = (await gateway.http.get("/system/services/deployed", params={"include": "Deployment,x"})).json()
    assert one["deployment"]["state"] == "ready"
    every = (await gateway.http.get("/system/services", params={"include": "deployment"})).json()
    assert all("deployment" in service for service in every)
    assert "deployment" not in (await gateway.http.get("/system/services/deployed")).json()


async def test_the_state_of_a_deployment_is_told_in_oscars_words(gateway: Gateway) -> None:
    await gateway.deploy("state")
    answer = (await gateway.http.get("/system/services/state/deployment")).json()
    assert (answer["service_name"], answer["state"]) == ("state", "ready")
    assert answer["resource_kind"] == "knative_service"
    assert (await gateway.http.get("/system/services/absent/deployment")).status_code == 404


async def test_the_log_of_a_deployment_is_a_list_of_messages(gateway: Gateway) -> None:
    await gateway.deploy("noisy", "echo to the log >&2")
    await gateway.http.post("/run/noisy")
    path = "/system/services/noisy/deployment/logs"
    answer = (await gateway.http.get(path, params={"tailLines": "5", "timestamps": "true"})).json()
    assert (answer["service_name"], answer["available"]) == ("noisy", True)
    assert [entry["message"] for entry in answer["entries"]] == ["to the log"]
    assert answer["entries"][0]["timestamp"].endswith("Z")
    for tail in ("0", "1001", "-1", "many"):
        assert (await gateway.http.get(path, params={"tailLines": tail})).status_code == 400
    assert (await gateway.http.get("/system/services/absent/deployment/logs")).status_code == 404
