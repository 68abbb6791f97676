"""`POST /events`: the one webhook of every store. Whoever takes the objects gets jobs; what cannot be read
is not refused, since the store would repeat it for ever in front of everything behind it."""

from starlette.responses import Response

from gateway.actions.accept_events import accept_notification
from gateway.actions.keep_unreadable import keep_unreadable
from gateway.api.answers import json_answer
from gateway.api.operations import Ask
from gateway.domain.problems import Invalid, Problem


async def accept(ask: Ask) -> Response:
    """2xx once all jobs are in the ledger. Raises Unavailable, StorageFull: the store sends it again."""
    try:
        accepted = await accept_notification(ask.backends, await _readable(ask))
    except Invalid as problem:
        ask.site.measures.noticed(outcome=problem.kind)
        return json_answer({"accepted": [], "unreadable": problem.detail})
    except Problem as problem:
        ask.site.measures.noticed(outcome=problem.kind)
        raise
    ask.site.measures.noticed(outcome="accepted" if accepted else "nobody's")
    return json_answer({"accepted": [one.id for one in accepted]})


async def _readable(ask: Ask) -> bytes:
    """The body, if it is not too large. Otherwise its beginning is kept, all of it read, a piece at a time,
    for the answer to be heard; then raises Invalid."""
    limit = ask.backends.settings.body_limit
    pieces: list[bytes] = []
    size = 0
    async for chunk in ask.incoming.chunks():
        if size <= limit:
            pieces.append(chunk)
        size += len(chunk)
    if size <= limit:
        return b"".join(pieces)
    why = f"the notification is larger than {limit} bytes (BODY_LIMIT)"
    await keep_unreadable(ask.backends, b"".join(pieces), why, size_bytes=size)
    raise Invalid(why, field="body")
