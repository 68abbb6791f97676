"""The report: what a pod says of its attempt when it is done, kept in the gateway's own bucket until the
attempt is settled, so that nothing depends on the pod being there for longer."""

from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from gateway.domain.job import AttemptId, Ending, log_key, result_key
from gateway.domain.problems import Invalid


@dataclass(frozen=True, slots=True)
class Report:
    """`notes` are entries of the log, to stand behind what the script wrote. In the pod's JSON `ending` is
    as the dataclass has it."""

    ending: Ending
    notes: str = ""


_REPORTS = TypeAdapter(Report)


def parse_report(raw: bytes, attempt: AttemptId) -> Report:
    """Raises Invalid, also for what is said of another attempt, or of keys that are not this one's."""
    try:
        report = _REPORTS.validate_json(raw)
    except ValidationError as error:
        raise Invalid("the report cannot be read", field="body") from error
    kept = report.ending.kept
    ours = kept.result_key in (None, result_key(attempt)) and kept.log_key in (None, log_key(attempt))
    if report.ending.attempt != attempt or not ours:
        raise Invalid("the report is of another attempt", field="body")
    return report
