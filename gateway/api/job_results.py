"""`/v1/jobs/{job}/result`: what `/run` would have answered."""

import re
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from gateway.actions.find_job import require_job
from gateway.actions.read_kept import read_result
from gateway.api.answers import TEXT
from gateway.api.operations import Ask
from gateway.domain.job import ResultKind
from gateway.staging.answer import in_base64

BYTES = "application/octet-stream"


async def read(ask: Ask) -> Response:
    """Base64 of a file or a zip, or the script's text; the bytes themselves for who accepts
    `application/octet-stream`.

    Also a failed job's text: `X-OSCAR-Job-State` tells. Raises NotFound, Conflict while there is none yet.
    """
    job = await require_job(ask.backends, ask.path["job"], ask.caller)
    kind, name, content = await read_result(ask.backends, job)
    headers = {"X-OSCAR-Job-State": job.state.value, "Vary": "Accept"}
    if BYTES not in ask.headers.get("accept", ""):
        encoded = content if kind is ResultKind.TEXT else in_base64(content)
        return StreamingResponse(encoded, headers=headers, media_type=TEXT)
    headers["Content-Disposition"] = _attachment(name or f"{job.id}.txt")
    return StreamingResponse(content, headers=headers, media_type=TEXT if kind is ResultKind.TEXT else BYTES)


def _attachment(name: str) -> str:
    """RFC 6266: a plain name for everybody, the true one in RFC 8187's form."""
    name = name.rpartition("/")[2]
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", name)
    true = quote(name.encode("utf-8", "replace"), safe="")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{true}"
