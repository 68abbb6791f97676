"""A service as the ConfigMap that OSCAR keeps, there and back."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.backends.registry.kubernetes.config_map import DATA_LIMIT, Entry, parse, render
from gateway.backends.registry.record import RecordError
from gateway.domain.deployed import Deployed
from gateway.domain.problems import Invalid
from gateway.domain.service import Environment, Service, complete, parse_service
from tests.domain.test_service import EVERYTHING

NOW = datetime(2030, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)

OSCARS: dict[str, Any] = {
    "metadata": {
        "name": "cowsay",
        "namespace": "oscar-svc",
        "uid": "11-22",
        "resourceVersion": "77",
        "creationTimestamp": "2029-05-06T07:08:09Z",
        "labels": {"oscar_service": "cowsay"},
        "managedFields": [{"manager": "oscar", "operation": "Update", "time": "2029-06-06T07:08:09Z"}],
    },
    "data": {
        "script.sh": "#!/bin/sh\ncowsay\n",
        "function_config.yaml": """\
name: cowsay
cluster_id: here
memory: 1Gi
cpu: "1.0"
enable_gpu: false
synchronous:
  min_scale: 0
  max_scale: 0
log_level: CRITICAL
image: ghcr.io/grycap/cowsay
token: 59ccb35b2d0f4d5c8c6b3e0b1f1d3a4e59ccb35b2d0f4d5c8c6b3e0b1f1d3a4e
input:
- storage_provider: minio.default
  path: cowsay/in
output: []
expose:
  min_scale: 0
  api_port: []
environment:
  variables:
    PORT: "0123"
  secrets:
    KEY: ""
annotations: {}
storage_providers:
  minio:
    default:
      endpoint: http://minio:9000
      verify: true
      access_key: hidden
      secret_key: hidden
      region: us-east-1
owner: cluster_admin
visibility: private
allowed_users: []
""",
    },
}


def stored(rendered: dict[str, Any]) -> dict[str, Any]:
    """As the API server gives it back."""
    marks = {"uid": "u", "resourceVersion": "7", "creationTimestamp": "2030-01-01T12:00:00Z"}
    return {**rendered, "metadata": {**rendered["metadata"], **marks}}


def read_back(deployed: Deployed, *, over: Entry | None = None) -> Entry:
    found = json.loads(json.dumps(stored(render(deployed, namespace="x", secrets="s", over=over))))
    return parse(found, now=NOW)


def everything() -> Service:
    requested = parse_service(json.dumps(EVERYTHING).encode())
    return complete(requested, token="t" * 64, owner="ada")


def test_a_definition_with_every_field_is_read_as_it_was_written_but_for_the_secrets() -> None:
    service = everything()
    assert service.environment.secrets
    deployed = Deployed(service, "u1", NOW, NOW + timedelta(days=1), {"b/in": NOW - timedelta(days=1)})

    entry = read_back(deployed)

    blank = dict.fromkeys(service.environment.secrets, "")
    environment = service.environment.model_copy(update={"secrets": blank})
    assert entry.deployed == replace(
        deployed, service=service.model_copy(update={"environment": environment})
    )
    assert (entry.version, entry.secrets, entry.foreign) == (7, "s", False)


def test_no_secret_value_stands_in_it_and_the_script_does_in_a_file_of_its_own() -> None:
    service = everything().model_copy(update={"environment": Environment(secrets={"KEY": "hush-hush"})})

    data = render(Deployed(service, "u1", NOW, NOW), namespace="x", secrets="")["data"]

    assert data.keys() == {"function_config.yaml", "script.sh"}
    assert data["script.sh"] == service.script
    assert "hush-hush" not in str(data)
    # As OSCAR and its supervisor read it: YAML, with the keys of its JSON.
    document = yaml.safe_load(data["function_config.yaml"])
    assert (document["name"], document["token"]) == (service.name, "t" * 64)
    assert document["environment"]["secrets"] == {"KEY": ""}
    assert "script" not in document


def test_a_service_of_oscar_appears_with_its_object_as_its_origin() -> None:
    entry = parse(OSCARS, now=NOW)

    service = entry.deployed.service
    assert (service.name, service.image, service.owner) == (
        "cowsay",
        "ghcr.io/grycap/cowsay",
        "cluster_admin",
    )
    assert service.script == "#!/bin/sh\ncowsay\n"
    assert service.environment.variables == {"PORT": "0123"}
    assert service.environment.secrets == {"KEY": ""}
    assert entry.deployed.uid == "11-22"
    assert entry.deployed.created_at == datetime(2029, 5, 6, 7, 8, 9, tzinfo=UTC)
    assert entry.deployed.updated_at == datetime(2029, 6, 6, 7, 8, 9, tzinfo=UTC)
    assert entry.deployed.inputs_since == {"cowsay/in": NOW}
    assert entry.foreign


def test_a_new_version_keeps_the_marks_of_others() -> None:
    standing = parse(OSCARS, now=NOW)
    standing = replace(standing, annotations={"team": "blue", "oscar-gateway/old": "1"})

    metadata = render(standing.deployed, namespace="x", secrets="", over=standing)["metadata"]

    assert metadata["annotations"]["team"] == "blue"
    assert "oscar-gateway/old" not in metadata["annotations"]
    assert (metadata["uid"], metadata["resourceVersion"]) == ("11-22", "77")


@pytest.mark.parametrize(
    "change",
    [
        {"function_config.yaml": "name: ["},
        {"function_config.yaml": "name: other\nimage: i"},
        {"function_config.yaml": "name: cowsay"},
        {"function_config.yaml": "&a [*a]"},
        {"script.sh": ""},
    ],
)
def test_what_cannot_be_read_says_why_without_repeating_it(change: dict[str, str]) -> None:
    with pytest.raises(RecordError) as refused:
        parse({**OSCARS, "data": {**OSCARS["data"], **change}}, now=NOW)

    assert "\n" not in str(refused.value)
    assert "59ccb35b" not in str(refused.value)


@pytest.mark.parametrize("data", [None, {}, {"script.sh": "x"}])
def test_a_config_map_without_a_definition_is_none(data: dict[str, str] | None) -> None:
    with pytest.raises(RecordError, match="it needs"):
        parse({**OSCARS, "data": data}, now=NOW)


@pytest.mark.parametrize("mark", ["created-at", "updated-at", "inputs-since"])
def test_a_damaged_mark_of_ours_is_told(mark: str) -> None:
    whole = stored(render(parse(OSCARS, now=NOW).deployed, namespace="x", secrets=""))
    whole["metadata"]["annotations"][f"oscar-gateway/{mark}"] = "hush"

    with pytest.raises(RecordError) as refused:
        parse(whole, now=NOW)
    assert "hush" not in str(refused.value)


def test_more_than_kubernetes_keeps_is_invalid() -> None:
    small = parse(OSCARS, now=NOW).deployed
    large = replace(small, service=small.service.model_copy(update={"script": "x" * DATA_LIMIT}))
    with pytest.raises(Invalid, match=f"at most {DATA_LIMIT}"):
        render(large, namespace="x", secrets="")

    many = replace(small, inputs_since={f"bucket/{number:0200}": NOW for number in range(1500)})
    with pytest.raises(Invalid, match="annotations"):
        render(many, namespace="x", secrets="")


@example(value="\x85\u2028\ufeff\U0001f600")
@example(value="1e5")
@given(value=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50))
def test_every_text_is_read_as_it_was_written_by_us_and_by_a_yaml_reader(value: str) -> None:
    service = Service(name="a", image="i", script=f"s{value}".replace("\r", ""), annotations={"k": value})
    service = service.model_copy(update={"environment": Environment(variables={"V": value})})
    rendered = render(Deployed(service, "u", NOW, NOW), namespace="x", secrets="")

    assert parse(stored(rendered), now=NOW).deployed.service == service
    document = yaml.safe_load(rendered["data"]["function_config.yaml"])
    assert document["environment"]["variables"]["V"] == value
