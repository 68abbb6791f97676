"""What the chart makes of its values; containers, volumes and rules are found by name."""

import base64
from typing import Any

import pytest
import yaml

from gateway.backends.cluster.rights import GATEWAY, WORKER, Right
from gateway.settings import Settings, read_settings
from tests.chart.generated import EVERY_VALUE
from tests.chart.helm import NEEDED, Object, one, render

pytestmark = pytest.mark.services

PROCESSES = ["gateway", "worker"]


@pytest.fixture(scope="module")
def objects() -> list[Object]:
    return render()


@pytest.fixture(scope="module")
def every() -> list[Object]:
    return render(yaml.safe_load(EVERY_VALUE.read_text()))


def pod_of(objects: list[Object], process: str) -> Object:
    pod: Object = one(objects, "Deployment", f"og-oscar-gateway-{process}")["spec"]["template"]["spec"]
    return pod


def container_of(objects: list[Object], process: str) -> Object:
    (found,) = [each for each in pod_of(objects, process)["containers"] if each["name"] == process]
    return dict(found)


def secrets_in(objects: list[Object]) -> dict[str, str]:
    data = one(objects, "Secret", "og-oscar-gateway")["data"]
    return {key: base64.b64decode(text).decode() for key, text in data.items()}


def test_the_program_reads_what_the_chart_tells_it(objects: list[Object]) -> None:
    config = one(objects, "ConfigMap", "og-oscar-gateway")["data"]

    settings = read_settings({**config, **secrets_in(objects)})

    assert settings.embedded == ()
    assert (settings.http_host, settings.http_port) == ("0.0.0.0", 8080)
    assert settings.kubernetes_namespace == "oscar-svc"
    assert settings.registry_url == "kubernetes:"
    assert settings.oscar_password
    assert settings.events_token


def test_every_setting_reaches_the_program(every: list[Object]) -> None:
    given = yaml.safe_load(EVERY_VALUE.read_text())
    config = one(every, "ConfigMap", "og-oscar-gateway")["data"]

    settings = read_settings(config)

    for name, value in given["settings"].items():
        found = getattr(settings, name.lower())
        assert found == value or str(found) == str(value), name
    assert config.keys() <= {name.upper() for name in Settings.model_fields}


def test_large_numbers_are_written_in_full() -> None:
    config = one(
        render({**NEEDED, "settings": {**NEEDED["settings"], "OUTPUT_LIMIT": 1 << 40}}),
        "ConfigMap",
        "og-oscar-gateway",
    )

    assert config["data"]["OUTPUT_LIMIT"] == str(1 << 40)


def test_secrets_are_in_the_secret_alone() -> None:
    secrets = {name: f"hush-{name}" for name in ("DATABASE_URL", "QUEUE_URL", "OSCAR_PASSWORD")}
    objects = render({**NEEDED, "secrets": secrets})

    assert secrets_in(objects).items() >= secrets.items()
    others = [each for each in objects if each["kind"] != "Secret"]
    assert "hush-" not in str(others)


def test_a_secret_made_by_others_is_used_instead(every: list[Object]) -> None:
    assert [each for each in every if each["kind"] == "Secret"] == []
    for process in PROCESSES:
        assert {"secretRef": {"name": "made-by-others"}} in container_of(every, process)["envFrom"]


@pytest.mark.parametrize(("process", "rights"), [("gateway", GATEWAY), ("worker", WORKER)])
def test_a_process_may_do_what_its_backends_ask_for_and_no_more(
    objects: list[Object], process: str, rights: tuple[Right, ...]
) -> None:
    role = one(objects, "Role", f"og-oscar-gateway-{process}")

    assert role["metadata"]["namespace"] == "oscar-svc"
    granted = {
        (group, resource): set(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    assert granted == {(right.group, right.resource): set(right.verbs) for right in rights}
    assert [each for each in objects if each["kind"].startswith("ClusterRole")] == []
    binding = one(objects, "RoleBinding", f"og-oscar-gateway-{process}")
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    (subject,) = binding["subjects"]
    assert (subject["name"], subject["namespace"]) == (f"og-oscar-gateway-{process}", "system")
    assert pod_of(objects, process)["serviceAccountName"] == subject["name"]


@pytest.mark.parametrize("process", PROCESSES)
def test_no_process_may_more_than_it_needs_on_its_node(objects: list[Object], process: str) -> None:
    pod, container = pod_of(objects, process), container_of(objects, process)

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {"/data", "/tmp"}
    assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("process", PROCESSES)
def test_probes_ask_life_and_readiness_apart(objects: list[Object], process: str) -> None:
    container = container_of(objects, process)

    paths = {
        probe: container[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "liveness", "readiness")
    }
    assert paths == {"startup": "/health", "liveness": "/health", "readiness": "/ready"}
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == {"http": 8080}


@pytest.mark.parametrize("process", PROCESSES)
def test_every_value_of_a_process_reaches_its_pods(every: list[Object], process: str) -> None:
    given: dict[str, Any] = yaml.safe_load(EVERY_VALUE.read_text())
    deployment = one(every, "Deployment", f"og-oscar-gateway-{process}")
    pod, container = pod_of(every, process), container_of(every, process)

    wanted = given[process]
    assert deployment["spec"]["replicas"] == wanted["replicas"]
    assert container["resources"] == wanted["resources"]
    for key in ("terminationGracePeriodSeconds", "nodeSelector", "tolerations"):
        assert pod[key] == wanted[key]
    assert (
        deployment["spec"]["template"]["metadata"]["annotations"].items() >= wanted["podAnnotations"].items()
    )
    assert container["image"] == f"registry.example/oscar-gateway@{given['image']['digest']}"
    assert pod["imagePullSecrets"] == [{"name": "pulling"}]
    assert pod["securityContext"]["runAsUser"] == given["runAsUser"]
    assert {"name": "SSL_CERT_FILE", "value": "/certificates/bundle.pem"} in container["env"]


def test_the_ingress_leads_to_the_gateway_under_host_and_path(
    every: list[Object], objects: list[Object]
) -> None:
    ingress = one(every, "Ingress", "og-oscar-gateway")
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]

    assert (rule["host"], path["path"]) == ("oscar.example", "/oscar")
    assert path["backend"]["service"] == {"name": "og-oscar-gateway", "port": {"name": "http"}}
    assert ingress["spec"]["tls"] == [{"secretName": "oscar-tls", "hosts": ["oscar.example"]}]
    assert [each for each in objects if each["kind"] == "Ingress"] == []


def test_only_named_peers_reach_the_workers(objects: list[Object]) -> None:
    peers = [{"podSelector": {"matchLabels": {"app": "prometheus"}}}]
    named = render({**NEEDED, "networkPolicy": {"workerFrom": peers, "gatewayFrom": peers}})

    assert one(objects, "NetworkPolicy", "og-oscar-gateway-worker")["spec"]["ingress"] == []
    assert one(objects, "NetworkPolicy", "og-oscar-gateway-gateway")["spec"]["ingress"] == [
        {"ports": [{"port": "http"}]}
    ]
    for process in PROCESSES:
        (rule,) = one(named, "NetworkPolicy", f"og-oscar-gateway-{process}")["spec"]["ingress"]
        assert rule == {"from": peers, "ports": [{"port": "http"}]}


def test_one_process_alone_has_no_budget_that_would_keep_its_node_from_being_drained() -> None:
    single = render({**NEEDED, "gateway": {"replicas": 1}, "worker": {"replicas": 1}})

    assert [each for each in single if each["kind"] == "PodDisruptionBudget"] == []


def test_the_namespace_of_services_stays_when_the_release_goes(objects: list[Object]) -> None:
    namespace = one(objects, "Namespace", "oscar-svc")

    assert namespace["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
