"""What the test cluster's ingress makes of Knative's Ingresses; its nginx is seen by tests on a cluster."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).parents[2] / "scripts" / "cluster" / "ingress"
CLASS = {"networking.knative.dev/ingress.class": "lab.ingress.networking.knative.dev"}
SERVICES = {
    "one": {"clusterIP": "10.96.0.1", "ports": [{"port": 80, "name": "http"}]},
    "two": {"clusterIP": "10.96.0.2", "ports": [{"port": 8080, "name": "http"}]},
    "headless": {"clusterIP": "None", "ports": [{"port": 80, "name": "http"}]},
}
ASK = """
import json, sys
from configuration import render
asked = json.load(sys.stdin)
keyed = [{("a", name): one for name, one in asked[kind].items()} for kind in ("ingresses", "services")]
body, served = render(*keyed, "127.0.0.1:80")
print(json.dumps([body, [one["metadata"]["name"] for one in served]]), file=sys.stderr)
"""


def split(service: str, percent: int, **headers: str) -> dict[str, Any]:
    place = {"serviceNamespace": "a", "serviceName": service, "servicePort": "http"}
    return {**place, "percent": percent, "appendHeaders": headers}


def ingress(name: str, *splits: dict[str, Any], **path: Any) -> dict[str, Any]:
    rule = {"hosts": [f"{name}.a"], "http": {"paths": [{"splits": splits, **path}]}}
    return {"metadata": {"name": name, "annotations": CLASS}, "spec": {"rules": [rule]}}


def rendered(*ingresses: dict[str, Any]) -> tuple[str, list[str]]:
    """The configuration's body, and the names of the Ingresses that it serves."""
    asked = {
        "ingresses": {one["metadata"]["name"]: one for one in ingresses},
        "services": {name: {"spec": spec} for name, spec in SERVICES.items()},
    }
    command = [sys.executable, "-c", ASK]
    ran = subprocess.run(
        command, input=json.dumps(asked), cwd=PROGRAM, capture_output=True, text=True, check=True
    )
    body, served = json.loads(ran.stderr)
    return body, served


def test_a_host_leads_to_its_backend_with_the_headers_of_its_rule() -> None:
    body, served = rendered(ingress("plain", split("two", 100, K='"v"')))
    assert served == ["plain"]
    assert "upstream u.a.two.8080 { server 10.96.0.2:8080 " in body
    assert 'server_name "plain.a";' in body
    assert "proxy_pass http://u.a.two.8080;" in body
    assert r'proxy_set_header K "\"v\"";' in body


def test_several_backends_are_drawn_by_weight_each_with_its_headers() -> None:
    body, _ = rendered(ingress("drawn", split("one", 30, K="1"), split("two", 70), split("headless", 0)))
    assert "split_clients $request_id $draw0 { 30% s0; * s1; }" in body
    assert "map $draw0 $draw0_to { s0 u.a.one.80; s1 u.a.two.8080; }" in body
    assert 'map $draw0 $draw0_h0 { s0 "1"; s1 ""; }' in body
    assert "proxy_pass http://$draw0_to;" in body


def test_what_cannot_be_served_keeps_nobody_else_from_it() -> None:
    gone = ingress("gone", split("nowhere", 100))
    headless = ingress("headless", split("headless", 100))
    matching = ingress("matching", split("one", 100), headers={"K": {"exact": "v"}})
    dollar = ingress("dollar", split("one", 100, K="$host"))
    another = ingress("another", split("one", 100))
    another["metadata"]["annotations"] = {}
    body, served = rendered(gone, headless, matching, dollar, another, ingress("good", split("one", 100)))
    assert served == ["good"]
    assert body.count("server_name") == 1
