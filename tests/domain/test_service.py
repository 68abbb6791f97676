"""A service from request to answer."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.problems import Invalid, Problem, TooLarge
from gateway.domain.providers import MinioProvider
from gateway.domain.service import Service, complete, parse_service, service_dict
from tests.domain.definitions import body, service

TOKEN = "0f" * 32

ZERO_STRUCT: dict[str, object] = {
    "name": "cowsay",
    "image": "a/cowsay:1",
    "script": "cowsay moo",
    "cluster_id": "local",
    "memory": "",
    "cpu": "",
    "total_memory": "",
    "total_cpu": "",
    "enable_gpu": False,
    "enable_sgx": False,
    "image_prefetch": False,
    "synchronous": {"min_scale": 0, "max_scale": 0},
    "replicas": None,
    "delegation": "",
    "rescheduler_threshold": 0,
    "log_level": "",
    "alpine": False,
    "token": "",
    "file_stage_in": False,
    "input": None,
    "output": None,
    "image_pull_secrets": None,
    "expose": {
        "min_scale": 0,
        "max_scale": 0,
        "api_port": 0,
        "cpu_threshold": 0,
        "rewrite_target": False,
        "nodePort": 0,
        "default_command": False,
        "set_auth": False,
        "health_path": "",
        "probe_mode": "",
    },
    "environment": {"Variables": None, "Secrets": None},
    "annotations": None,
    "vo": "",
    "labels": None,
    "storage_providers": None,
    "owner": "",
    "interlink_node_name": "",
    "visibility": "",
    "allowed_users": None,
    "isolation_level": "",
    "bucket_list": None,
    "mount": {"storage_provider": "", "path": ""},
    "clusters": {
        "local": {
            "endpoint": "http://127.0.0.1",
            "auth_user": "oscar",
            "auth_password": "s3cret!",
            "ssl_verify": False,
        }
    },
}
"""What oscar-cli 1.x sends for a service of three fields: every field of its struct."""

EVERYTHING: dict[str, object] = {
    "name": "cowsay",
    "cluster_id": "local",
    "memory": "1Gi",
    "cpu": "1.5",
    "ephemeral_storage_request": "2Gi",
    "total_memory": "10Gi",
    "total_cpu": "10",
    "enable_gpu": True,
    "enable_sgx": True,
    "image_prefetch": True,
    "synchronous": {"min_scale": 1, "max_scale": 5},
    "federation": {
        "group_id": "group",
        "topology": "star",
        "delegation": "load-based",
        "rescheduler_threshold": 30,
        "members": [
            {
                "type": "endpoint",
                "cluster_id": "there",
                "service_name": "other",
                "url": "https://example.org/x",
                "ssl_verify": False,
                "priority": 2,
                "headers": {"X-Key": "v"},
            }
        ],
    },
    "log_level": "CRITICAL",
    "image": "registry.example.org:5000/a/cowsay@sha256:0123",
    "alpine": True,
    "file_stage_in": True,
    "input": [{"storage_provider": "minio.default", "path": "inbox/a", "suffix": [".txt"], "prefix": ["x"]}],
    "output": [
        {"storage_provider": "s3.far", "path": "out/b"},
        {"storage_provider": "onedata.one", "path": "/c"},
    ],
    "script": "cowsay moo\n",
    "image_pull_secrets": ["pull"],
    "expose": {
        "min_scale": 1,
        "max_scale": 3,
        "api_port": [80, 8080],
        "cpu_threshold": 50,
        "rewrite_target": True,
        "nodePort": [30080],
        "default_command": True,
        "set_auth": True,
        "auth_type": "forward",
        "health_path": "/health",
        "probe_mode": "direct",
    },
    "environment": {"variables": {"A": "1", "Empty": ""}, "secrets": {"KEY": "hush"}},
    "annotations": {"oscar-gateway/tries": "3", "example.org/Note": "any text: ü"},
    "vo": "vo.example.org",
    "labels": {"team": "blue"},
    "storage_providers": {
        "s3": {"far": {"access_key": "AK", "secret_key": "SK", "region": "eu-west-1"}},
        "minio": {
            "other": {
                "endpoint": "https://m",
                "verify": True,
                "access_key": "a",
                "secret_key": "b",
                "region": "r",
            }
        },
        "onedata": {"one": {"oneprovider_host": "host", "token": "t", "space": "s"}},
        "webdav": {"dav": {"hostname": "h", "login": "l", "password": "p"}},
        "rucio": {
            "ru": {
                "host": "h",
                "account": "a",
                "rse": "r",
                "refresh_token": "t",
                "auth_host": "ah",
                "oidc_audience": "oa",
                "token_endpoint": "te",
            }
        },
    },
    "clusters": {
        "there": {"endpoint": "https://there", "auth_user": "u", "auth_password": "", "ssl_verify": True}
    },
    "interlink_node_name": "node",
    "visibility": "restricted",
    "allowed_users": ["ann", "bob"],
    "isolation_level": "USER",
    "mount": {"storage_provider": "minio.default", "path": "shared", "options": {"read_only": "true"}},
    "volume": {"name": "data", "size": "1Gi", "mount_path": "/data", "lifecycle_policy": "retain"},
    "kserve": {
        "type": "inference",
        "inference": {"model_format": "onnx", "runtime": "rt", "api_version": "v2"},
        "llm_inference": None,
        "storage_uri": "s3://models/one",
        "min_scale": 1,
        "max_scale": 2,
        "cpu": "2",
        "memory": "4Gi",
        "args": ["--flag"],
        "env": {"E": "1"},
        "enable_gpu": True,
        "set_auth": False,
    },
}


def test_three_fields_are_enough_and_the_others_have_oscars_defaults() -> None:
    shown = service_dict(complete(service(), token=TOKEN, owner="cluster_admin"))
    assert (shown["memory"], shown["cpu"], shown["log_level"]) == ("256Mi", "0.2", "INFO")
    assert (shown["visibility"], shown["isolation_level"], shown["token"]) == ("private", "SERVICE", TOKEN)
    assert (shown["input"], shown["output"], shown["allowed_users"], shown["bucket_list"]) == ([], [], [], [])
    assert shown["environment"] == {"variables": {}, "secrets": {}}
    assert shown["volume_status"] == {"enabled": False}


def test_every_field_given_is_shown_as_it_was_given_in_oscars_order() -> None:
    shown = service_dict(parse_service(json.dumps(EVERYTHING).encode()))
    for field, value in EVERYTHING.items():
        if field not in ("environment", "storage_providers"):
            assert shown[field] == value, field
    given_order = [field for field in shown if field in EVERYTHING]
    assert given_order == list(EVERYTHING)


def test_every_field_of_the_model_is_in_the_sample_of_everything() -> None:
    assert set(Service.model_fields) - set(EVERYTHING) == {"token", "owner"}


def test_a_struct_of_zeros_means_nothing_was_given() -> None:
    zeros = parse_service(json.dumps(ZERO_STRUCT).encode())
    assert zeros.model_copy(update={"cluster_id": "", "clusters": {}}) == service()


def test_unset_parts_are_left_out_or_empty_as_the_clients_need_them() -> None:
    shown = service_dict(service())
    assert not {"federation", "image_pull_secrets", "clusters", "volume", "kserve", "namespace"} & set(shown)
    assert shown["mount"] == {"storage_provider": "", "path": ""}
    assert not {"api_port", "nodePort"} & set(_mapping(shown["expose"]))
    assert None not in shown.values()


def test_a_mount_has_exactly_two_keys_when_the_rest_is_empty() -> None:
    text = json.dumps(service_dict(service(mount={"path": "X"})), separators=(",", ":"))
    assert '"mount":{"storage_provider":"minio.default","path":"X"}' in text


def test_keys_match_in_any_case_but_the_names_in_maps_stay_as_they_are() -> None:
    one = service(Environment={"Variables": {"Path": "x"}}, LABELS={"Team": "Blue"}, enable_GPU=True)
    assert one.environment.variables == {"Path": "x"}
    assert one.labels == {"Team": "Blue"}
    assert one.enable_gpu


def test_unknown_keys_of_real_clients_are_ignored() -> None:
    assert service(imageRules=[], limitsMemory=3, valid=True, imagePullSecrets={}) == service()


def test_what_the_server_sets_is_not_taken_from_a_client() -> None:
    mine = service(token="f" * 64, Owner="me", namespace="ns", bucket_list=["b"], deployment={"state": "x"})
    assert mine == service()


@pytest.mark.parametrize("spelling", ["ephemeral_storage_request", "ephemeral-storage", "Ephemeral_Storage"])
def test_the_ephemeral_storage_has_several_spellings(spelling: str) -> None:
    assert service(**{spelling: "1Gi"}).ephemeral_storage_request == "1Gi"


def test_numbers_and_booleans_become_text_where_text_is_meant() -> None:
    raw = (
        body()[:-1]
        + b', "cpu": 0.50, "memory": 1073741824, "environment": {"variables": {"V": 1.10, "B": true}}}'
    )
    one = parse_service(raw)
    assert (one.cpu, one.cpu_cores) == ("0.50", 0.5)
    assert one.memory_bytes == 1 << 30
    assert one.environment.variables == {"V": "1.10", "B": "true"}


@pytest.mark.parametrize("given", [8080, "8080", [8080], ["8080"], [8080, 0], [None, 8080]])
def test_ports_come_as_number_text_or_list_and_leave_as_a_list(given: object) -> None:
    shown = service_dict(service(expose={"api_port": given, "nodePort": given}))
    assert _mapping(shown["expose"])["api_port"] == [8080]
    assert _mapping(shown["expose"])["nodePort"] == [8080]


def test_line_ends_of_the_script_become_line_feeds() -> None:
    assert service(script="a\r\nb\rc\n").script == "a\nb\nc\n"


@pytest.mark.parametrize(("given", "kept"), [("critical", "CRITICAL"), ("loud", "INFO"), ("", "INFO")])
def test_an_unknown_log_level_is_info(given: str, kept: str) -> None:
    assert service(log_level=given).log_level == kept


def test_enumerations_are_read_in_any_case_and_shown_in_one() -> None:
    one = service(visibility="Public", isolation_level="user")
    assert (one.visibility, one.isolation_level) == ("public", "USER")


def test_allowed_users_are_trimmed_and_blank_ones_dropped() -> None:
    assert service(allowed_users=[" ann ", "", None, "  ", "ann"]).allowed_users == ("ann",)


def test_a_path_without_a_bucket_is_a_folder_in_the_bucket_named_like_the_service() -> None:
    one = service(input=[{"path": "in"}], output=[{"storage_provider": "onedata.x", "path": "out"}])
    assert one.input[0].path == "cowsay/in"
    assert one.output[0].path == "out"


FAULTS: list[tuple[dict[str, object], str, str]] = [
    ({"name": ""}, "name", "is required"),
    ({"name": None}, "name", "is required"),
    ({"name": "a" * 40}, "name", "39"),
    ({"name": "../etc"}, "name", "a-z"),
    ({"name": "a/b"}, "name", "a-z"),
    ({"name": "a\0b"}, "name", "a-z"),
    ({"name": "Cow"}, "name", "a-z"),
    ({"name": "-cow"}, "name", "begin"),
    ({"name": 7}, "name", "must be text"),
    ({"image": "rm -rf"}, "image", "image"),
    ({"image": "-v"}, "image", "image"),
    ({"script": " \n"}, "script", "empty"),
    ({"script": "a\0"}, "script", "NUL"),
    ({"script": ["a"]}, "script", "must be text"),
    ({"cpu": "-1"}, "cpu", "quantity"),
    ({"cpu": 0}, "cpu", "more than 0"),
    ({"cpu": True}, "cpu", "text"),
    ({"memory": "128m"}, "memory", "1Mi"),
    ({"memory": "lots"}, "memory", "quantity"),
    ({"enable_gpu": "yes"}, "enable_gpu", "true or false"),
    ({"enable_gpu": 1}, "enable_gpu", "true or false"),
    ({"visibility": "secret"}, "visibility", "private"),
    ({"isolation_level": 3}, "isolation_level", "SERVICE"),
    ({"input": {"path": "a/b"}}, "input", "must be a list"),
    ({"input": ["a/b"]}, "input[0]", "must be an object"),
    ({"input": [{"path": "inn/a"}, {"path": "inn/../b"}]}, "input[1].path", ".."),
    ({"input": [{"storage_provider": "minio.default"}]}, "input[0].path", "is required"),
    ({"output": [{"path": "In/a"}]}, "output[0].path", "cannot be a bucket"),
    (
        {"output": [{"path": "a/b", "storage_provider": "ftp.x"}]},
        "output[0].storage_provider",
        "must be one of",
    ),
    ({"output": [{"path": "abc/b", "suffix": ".txt"}]}, "output[0].suffix", "must be a list"),
    ({"environment": ["A=1"]}, "environment", "must be an object"),
    ({"environment": {"variables": {"1A": "x"}}}, "environment.variables.1A", "name of a variable"),
    ({"environment": {"variables": {"A": "x\0"}}}, "environment.variables.A", "NUL"),
    ({"environment": {"variables": {"A": ["x"]}}}, "environment.variables.A", "must be text"),
    ({"environment": {"variables": {"A": "x" * (128 << 10)}}}, "environment.variables", "131072"),
    ({"environment": {"secrets": {"a b": "x"}}}, "environment.secrets.a b", "name of a variable"),
    ({"labels": {"a": "not a label"}}, "labels.a", "label"),
    ({"labels": {"": "x"}}, "labels", "label"),
    ({"annotations": {"oscar-gateway/tries": "0"}}, "annotations.oscar-gateway/tries", "from 1 to 20"),
    ({"annotations": {"oscar-gateway/trys": "2"}}, "annotations.oscar-gateway/trys", "none of"),
    ({"synchronous": {"min_scale": -1}}, "synchronous.min_scale", "greater"),
    ({"expose": {"api_port": 70000}}, "expose.api_port[0]", "less"),
    ({"expose": {"api_port": "http"}}, "expose.api_port[0]", "whole number"),
    ({"volume": {"mount_path": "/a"}}, "volume", "name or a size"),
    ({"volume": {"size": "1Gi", "mount_path": "a"}}, "volume.mount_path", "absolute"),
    ({"kserve": {"type": "inference", "storage_uri": "u"}}, "kserve", "model_format"),
    ({"federation": {"members": [{"type": "x"}]}}, "federation.members[0].type", "oscar"),
    ({"clusters": {"c": {"ssl_verify": "no"}}}, "clusters.c.ssl_verify", "true or false"),
]


@pytest.mark.parametrize(("fields", "field", "why"), FAULTS, ids=lambda value: str(value)[:40])
def test_a_wrong_field_is_named_by_its_path_in_one_line(
    fields: dict[str, object], field: str, why: str
) -> None:
    with pytest.raises(Invalid) as refused:
        service(**fields)
    assert refused.value.field is not None
    assert refused.value.field.startswith(field)
    assert why in refused.value.detail
    assert refused.value.detail.startswith(field)
    assert "\n" not in refused.value.detail


def test_a_definition_that_no_config_map_could_hold_is_too_large() -> None:
    with pytest.raises(TooLarge):
        service(script="x" * (900 << 10))
    with pytest.raises(TooLarge):
        service(environment={"variables": {f"V{number}": "x" * 1000 for number in range(950)}})


def test_a_list_of_thousands_is_refused_before_its_entries_are_looked_at() -> None:
    with pytest.raises(Invalid, match="input: has more than 1000 entries"):
        service(input=[{"path": "in/a"}] * 1001)


def test_completing_sets_what_the_server_sets() -> None:
    done = complete(service(vo="/a b:c", labels={"team": "blue"}), token=TOKEN, owner="ann@example.org")
    assert (done.token, done.owner) == (TOKEN, "ann@example.org")
    assert done.labels == {
        "team": "blue",
        "oscar.grycap/user-service": "true",
        "oscar_service": "cowsay",
        "owner_name": "ann_example.org",
        "vo": "a__b___c",
    }


def test_secrets_are_never_shown_and_survive_an_update_that_does_not_mention_them() -> None:
    first = complete(
        service(environment={"secrets": {"A": "1", "B": "2", "C": "3"}}), token=TOKEN, owner="ann"
    )
    shown = service_dict(first)
    assert _mapping(shown["environment"])["secrets"] == {"A": "", "B": "", "C": ""}
    update = service(environment={"secrets": {"A": "new", "B": "", "D": "4"}})
    second = complete(update, token=TOKEN, owner="ann", previous=first)
    assert second.environment.secrets == {"A": "new", "B": "2", "C": "3", "D": "4"}


def test_an_answer_sent_back_changes_nothing() -> None:
    first = complete(parse_service(json.dumps(EVERYTHING).encode()), token=TOKEN, owner="ann")
    again = parse_service(json.dumps(service_dict(first)).encode())
    assert complete(again, token=TOKEN, owner="ann", previous=first) == first


def test_the_keys_of_the_gateways_own_store_are_hidden_and_its_address_shown() -> None:
    sent = {"minio": {"default": {"access_key": "mine", "secret_key": "mine"}}}
    store = MinioProvider(
        endpoint="http://127.0.0.1:9000", verify=True, access_key="AK", secret_key="SK", region="us-east-1"
    )
    shown = _mapping(service_dict(service(storage_providers=sent), store=store)["storage_providers"])
    assert shown == {
        "minio": {
            "default": {
                "endpoint": "http://127.0.0.1:9000",
                "verify": True,
                "access_key": "hidden",
                "secret_key": "hidden",
                "region": "us-east-1",
            }
        }
    }


def test_a_clusters_password_is_neither_kept_nor_shown() -> None:
    one = parse_service(json.dumps(ZERO_STRUCT).encode())
    assert "s3cret!" not in one.model_dump_json()
    clusters = _mapping(service_dict(one)["clusters"])
    assert _mapping(clusters["local"])["auth_password"] == ""


@pytest.mark.parametrize("fields", [{}, EVERYTHING, ZERO_STRUCT], ids=["least", "everything", "zeros"])
def test_what_is_stored_of_a_service_reads_back_without_loss(fields: dict[str, object]) -> None:
    whole = complete(service(**fields), token=TOKEN, owner="ann")
    assert Service.model_validate(json.loads(json.dumps(whole.model_dump(mode="json")))) == whole


names = st.text(st.characters(codec="utf-8"), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
fields_of_the_model = st.sampled_from(sorted(Service.model_fields))


@given(st.dictionaries(fields_of_the_model | names, values, max_size=5))
def test_any_object_is_a_service_or_a_problem_and_a_service_reads_back(fields: dict[str, object]) -> None:
    try:
        one = parse_service(json.dumps({"name": "cow", "image": "i", "script": "s", **fields}).encode())
    except Problem as problem:
        assert "\n" not in problem.detail
        return
    assert Service.model_validate(json.loads(json.dumps(one.model_dump(mode="json")))) == one
    assert complete(one, token=TOKEN, owner="ann").policy == one.policy
    json.dumps(service_dict(one), ensure_ascii=False).encode()


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, object]:
    """A whole definition with one value, somewhere deep, replaced."""
    whole = json.loads(json.dumps(EVERYTHING))
    place: Any = whole
    while True:
        key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or draw(st.booleans()):
            place[key] = draw(values)
            return dict(whole)
        place = place[key]


@given(mutated())
def test_one_strange_value_anywhere_is_read_or_refused_by_a_problem(fields: dict[str, object]) -> None:
    try:
        one = parse_service(json.dumps(fields).encode())
    except Problem as problem:
        assert "\n" not in problem.detail
    else:
        assert Service.model_validate(json.loads(json.dumps(one.model_dump(mode="json")))) == one


def _mapping(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    return value
