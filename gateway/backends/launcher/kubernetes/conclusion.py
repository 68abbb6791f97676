"""The conclusion: of an attempt that ended, everything that has to be kept before its pod may go: what it
said, its log, how it ended."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pydantic import TypeAdapter, ValidationError

from gateway.backends.cluster import Cluster
from gateway.backends.launcher.kubernetes.cluster_log import archived
from gateway.backends.launcher.kubernetes.containers import SCRIPT, STAGE_IN, STAGE_OUT
from gateway.backends.launcher.kubernetes.fate import Fate, ending_of, message_of, script_state
from gateway.backends.launcher.report import Report, parse_report
from gateway.backends.launcher.store import Store
from gateway.domain.job import AttemptId, Ending, log_key, report_key
from gateway.domain.problems import Invalid, NotFound

_ENDINGS = TypeAdapter(Ending)


class ReportStore(Store, Protocol):
    async def remove(self, bucket: str, key: str) -> None:
        """Also when it is not there."""
        ...


@dataclass(frozen=True, slots=True)
class Conclusion:
    """`log_limit` in bytes. Its methods raise Unavailable, StorageFull; doing them again is harmless."""

    cluster: Cluster
    store: ReportStore
    own_bucket: str
    log_limit: int

    async def of(self, attempt: AttemptId, fate: Fate, pod: Mapping[str, Any] | None) -> Ending:
        report = await self._report(attempt)
        said = report.ending if report is not None else _last_words(attempt, pod)
        ending = ending_of(attempt, fate, said)
        kept = await self._keep_log(attempt, pod, report.notes if report is not None else "")
        return replace(ending, kept=replace(ending.kept, log_key=log_key(attempt) if kept else None))

    async def forget(self, attempt: AttemptId) -> None:
        await self.store.remove(self.own_bucket, report_key(attempt))

    def log(self, pod: Mapping[str, Any]) -> AsyncIterator[bytes]:
        """In the archive's form. Raises Invalid, at the first step, while the container has not begun."""
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/log"
        # Beyond the limit by one piece, so that its being cut is seen and told.
        query: dict[str, str | int] = {
            "container": SCRIPT,
            "timestamps": "true",
            "limitBytes": self.log_limit * 2,
        }
        return archived(self.cluster.text(path, query), limit_bytes=self.log_limit)

    async def _report(self, attempt: AttemptId) -> Report | None:
        chunks = self.store.read(self.own_bucket, report_key(attempt))
        try:
            return parse_report(b"".join([chunk async for chunk in chunks]), attempt)
        except (NotFound, Invalid):
            return None

    async def _keep_log(self, attempt: AttemptId, pod: Mapping[str, Any] | None, notes: str) -> bool:
        """Whether there is one."""
        began = pod is not None and not script_state(pod).keys() <= {"waiting"}
        if not began and not notes:
            return False
        whole = self._whole(pod if began else None, notes.encode("utf-8", "replace"))
        await self.store.put(self.own_bucket, log_key(attempt), whole)
        return True

    async def _whole(self, pod: Mapping[str, Any] | None, notes: bytes) -> AsyncIterator[bytes]:
        if pod is not None:
            try:
                async for chunk in self.log(pod):
                    yield chunk
            except (NotFound, Invalid):
                # The node took it with it; what else is known of the attempt stays.
                pass
        if notes:
            yield notes


def _last_words(attempt: AttemptId, pod: Mapping[str, Any] | None) -> Ending | None:
    """From the pod's status, if its report did not arrive."""
    for container in (STAGE_OUT, STAGE_IN):
        message = message_of(pod, container) if pod is not None else ""
        if message.startswith("{"):
            try:
                ending = _ENDINGS.validate_json(message)
            except ValidationError:
                continue
            return ending if ending.attempt == attempt else None
    return None
