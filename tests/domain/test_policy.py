"""The policy in a service's annotations."""

from dataclasses import fields

import pytest

from gateway.domain.policy import RANGES, Policy
from gateway.domain.problems import Invalid
from tests.domain.definitions import service


def test_without_annotations_a_script_is_tried_once_and_interruptions_are_repeated() -> None:
    assert service().policy == Policy(
        tries=1, retry_s=10, interruptions=5, job_limit_s=None, call_limit_s=None
    )


def test_each_annotation_sets_its_field() -> None:
    given = {
        "tries": 3,
        "retry-seconds": "0.5",
        "interruptions": "0",
        "job-seconds": 60,
        "call-seconds": "30",
    }
    policy = service(annotations={f"oscar-gateway/{name}": value for name, value in given.items()}).policy
    assert policy == Policy(tries=3, retry_s=0.5, interruptions=0, job_limit_s=60, call_limit_s=30)
    assert isinstance(policy.tries, int)


def test_every_field_has_an_annotation_and_a_default_within_its_range() -> None:
    by_field = {one.field: one for one in RANGES.values()}
    assert set(by_field) == {field.name for field in fields(Policy)}
    for field in fields(Policy):
        default = getattr(Policy(), field.name)
        assert default is None or by_field[field.name].least <= default <= by_field[field.name].most


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tries", "0"),
        ("tries", "21"),
        ("tries", "1.5"),
        ("tries", "many"),
        ("tries", ""),
        ("retry-seconds", "-1"),
        ("retry-seconds", "nan"),
        ("retry-seconds", "86401"),
        ("interruptions", "101"),
        ("job-seconds", "0"),
        ("call-seconds", "inf"),
        ("trys", "1"),
        ("Tries", "1"),
    ],
)
def test_a_value_out_of_range_or_an_unknown_name_of_ours_is_refused(name: str, value: str) -> None:
    with pytest.raises(Invalid) as refused:
        service(annotations={f"oscar-gateway/{name}": value})
    assert refused.value.field == f"annotations.oscar-gateway/{name}"


def test_annotations_of_others_are_not_ours_to_judge() -> None:
    assert service(annotations={"example.org/tries": "0"}).policy == Policy()
