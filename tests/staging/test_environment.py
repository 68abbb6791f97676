"""What a script sees in its environment."""

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.domain.definition import Service
from gateway.domain.environment import Environment
from gateway.staging.environment import EVENT_LIMIT, Occasion, script_environment

CALL = Occasion(input_file="/w/input/file")


def environment(occasion: Occasion = CALL, **of_service: Any) -> dict[str, str]:
    service = Service(name="shout", image="i", script="s", token="t", **of_service)
    place = {"PATH": "/bin", "HOME": "/w/scratch"}
    return script_environment(service, occasion, input_dir="/w/input", output_dir="/w/output", place=place)


def test_a_call_has_its_files_and_its_service() -> None:
    seen = environment()
    assert seen.pop("RESOURCE_ID")
    assert seen == {
        "PATH": "/bin",
        "HOME": "/w/scratch",
        "INPUT_FILE_PATH": "/w/input/file",
        "TMP_INPUT_DIR": "/w/input",
        "TMP_OUTPUT_DIR": "/w/output",
        "OSCAR_SERVICE_NAME": "shout",
        "OSCAR_SERVICE_TOKEN": "t",
        "OSCAR_SERVICE_BASE_PATH": "",
    }


def test_nothing_of_the_gateways_own_environment_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSCAR_PASSWORD", "hidden")
    assert "OSCAR_PASSWORD" not in environment()


def test_a_job_is_named_and_told_its_event() -> None:
    at = datetime(2026, 11, 24, 3, 0, 0, 123000, tzinfo=UTC)
    seen = environment(Occasion("/f", job="shout-1", event=b'{"a": 1}', object_key="in/a b", event_at=at))
    assert seen["JOB_UUID"] == "shout-1"
    assert seen["EVENT"] == '{"a": 1}'
    assert seen["STORAGE_OBJECT_KEY"] == "in/a b"
    assert seen["EVENT_TIME"] == "2026-11-24T03:00:00.123Z"


@pytest.mark.parametrize("event", [b"\xff", b"a\0b", b"x" * EVENT_LIMIT])
def test_an_event_that_no_variable_can_hold_is_left_out(event: bytes) -> None:
    assert "EVENT" not in environment(Occasion("/f", job="j", event=event))


def test_the_services_variables_stand_over_its_secrets_and_the_place_but_never_over_ours() -> None:
    given = Environment(
        variables={"PATH": "/mine", "A": "variable", "INPUT_FILE_PATH": "/etc/passwd"},
        secrets={"A": "secret", "B": "secret", "OSCAR_SERVICE_TOKEN": "forged"},
    )
    seen = environment(environment=given)
    assert (seen["PATH"], seen["A"], seen["B"]) == ("/mine", "variable", "secret")
    assert (seen["INPUT_FILE_PATH"], seen["OSCAR_SERVICE_TOKEN"]) == ("/w/input/file", "t")
