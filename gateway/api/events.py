"""`POST /events`: the one webhook of every store. Whoever takes the objects gets jobs; what cannot be read
is not refused, since the store would repeat it for ever in front of everything behind it."""

from starlette.responses import Response

from gateway.actions.accept_events import accept_notification
from gateway.api.answers import json_answer
from gateway.api.operations import Ask
from gateway.domain.problems import Invalid, Problem


async def accept(ask: Ask) -> Response:
    """2xx once all jobs are in the ledger. Raises TooLarge, Unavailable, StorageFull: the store sends it
    again."""
    raw = await ask.incoming.whole()
    try:
        accepted = await accept_notification(ask.backends, raw)
    except Invalid as problem:
        ask.site.measures.noticed(outcome=problem.kind)
        return json_answer({"accepted": [], "unreadable": problem.detail})
    except Problem as problem:
        ask.site.measures.noticed(outcome=problem.kind)
        raise
    ask.site.measures.noticed(outcome="accepted" if accepted else "nobody's")
    return json_answer({"accepted": [one.id for one in accepted]})
