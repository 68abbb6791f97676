"""FDL files, as clients keep them."""

import pytest

from gateway.domain.problems import Invalid
from gateway.domain.service import parse_service

FILE = b"""
functions:
  oscar:
    - local:
        name: cowsay
        image: a/cowsay:1
        script: |
          cowsay moo
        input:
          - storage_provider: minio.default
            path: cowsay/in
storage_providers:
  s3:
    far: {access_key: AK, secret_key: SK, region: eu}
clusters:
  local: {endpoint: "http://127.0.0.1", auth_user: oscar, auth_password: secret}
"""


def test_the_one_service_of_a_file_is_read_with_what_stands_beside_it() -> None:
    one = parse_service(FILE)
    assert (one.name, one.script, one.cluster_id) == ("cowsay", "cowsay moo\n", "local")
    assert one.storage_providers.s3["far"].secret_key == "SK"
    assert one.clusters["local"].auth_user == "oscar"


def test_what_the_service_says_itself_comes_first() -> None:
    said = FILE.replace(
        b"name: cowsay", b"name: cowsay\n        Cluster_ID: mine\n        clusters: {other: {endpoint: e}}"
    )
    one = parse_service(said)
    assert one.cluster_id == "mine"
    assert list(one.clusters) == ["other"]


def test_a_file_may_be_json_too() -> None:
    raw = b'{"Functions": {"OSCAR": [{"local": {"name": "a", "image": "i", "script": "s"}}]}}'
    assert parse_service(raw).name == "a"


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b"functions: {}", "functions.oscar"),
        (b"functions: [a]", "functions.oscar"),
        (b"functions: {oscar: {a: b}}", "functions.oscar"),
        (b"functions: {oscar: []}", "functions.oscar"),
        (b"functions: {oscar: [{a: {name: a}}, {b: {name: b}}]}", "functions.oscar"),
        (b"functions: {oscar: [{a: {name: a}, b: {name: b}}]}", "functions.oscar"),
        (b"functions: {oscar: [{a: text}]}", "functions.oscar[0]"),
        (FILE.replace(b"|\n          cowsay moo", b"script.sh"), "script"),
    ],
    ids=lambda value: repr(value)[:50],
)
def test_a_file_without_exactly_one_whole_service_is_refused(raw: bytes, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_service(raw)
    assert refused.value.field == field
