"""`POST /job/{service}`: accept a job, or for a store's notification one job a record. A raw ASGI endpoint.

The body of the answer stays empty, as OSCAR's; the ids stand in headers.
"""

from collections.abc import Sequence

from starlette.types import Receive, Scope, Send

from gateway.actions.authorise_call import authorise_call
from gateway.actions.submit_job import Submission, submit_job
from gateway.api.call_line import CALLER
from gateway.api.errors import PAGE_NOT_FOUND
from gateway.api.incoming import Incoming, header
from gateway.api.operations import Site
from gateway.backends.ledger.protocol import Accepted
from gateway.domain.idempotency import parse_idempotency_key
from gateway.domain.problems import NotFound, Problem, Unauthenticated


class Job:
    def __init__(self, site: Site) -> None:
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = scope["path_params"]["service"]
        authorization = header(scope, b"authorization")
        if scope["method"] == "HEAD":
            await self._probe(name, authorization, send)
            return
        if scope["method"] != "POST":
            raise NotFound(PAGE_NOT_FOUND)
        backends = self._site.backends
        deployed, scope[CALLER] = await authorise_call(backends, name, authorization)
        key = header(scope, b"idempotency-key")
        incoming = Incoming(receive, limit=backends.settings.job_body_limit, headers=scope["headers"])
        submission = Submission(
            deployed, scope[CALLER], incoming.chunks(), key=parse_idempotency_key(key) if key else None
        )
        await _answer(201, _names(await submit_job(backends, submission)), send)

    async def _probe(self, name: str, authorization: str, send: Send) -> None:
        """MinIO asks so whether its target is there. Without the right credential every service looks
        alike."""
        try:
            await authorise_call(self._site.backends, name, authorization)
        except Problem as problem:
            raise Unauthenticated("a valid credential is needed") from problem
        await _answer(200, [], send)


def _names(accepted: Sequence[Accepted]) -> list[tuple[bytes, bytes]]:
    """None for a notification that was nobody's; several ids, and no one place to look, for one with
    several records."""
    ids = [str(one.id).encode() for one in accepted]
    headers = [(b"x-oscar-job-id", b", ".join(ids))] if ids else []
    if len(ids) == 1:
        headers.append((b"location", b"/v1/jobs/" + ids[0]))
    return headers


async def _answer(status: int, headers: list[tuple[bytes, bytes]], send: Send) -> None:
    headers = [*headers, (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body"})
