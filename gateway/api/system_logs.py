"""`/system/logs`: the lines of calls and jobs that were answered, for the administrator."""

from starlette.responses import Response

from gateway.api.access_log import parse_line
from gateway.api.answers import json_answer
from gateway.api.operations import Ask
from gateway.api.query import flag
from gateway.domain.problems import Forbidden

LINES_LIMIT = 5000
"""The newest ones: what a page can show."""


async def read(ask: Ask) -> Response:
    """Oldest first; `previous` shows the file before the present one. With `timestamps` each raw line has
    its time in front."""
    if not ask.caller.admin:
        raise Forbidden("only the administrator may read these")
    lines = await ask.site.access_log.lines(older=flag(ask.query, "previous"))
    entries = [entry for line in lines[-LINES_LIMIT:] if (entry := parse_line(line)) is not None]
    if flag(ask.query, "timestamps"):
        entries = [entry | {"raw": f"{entry['timestamp']} {entry['raw']}"} for entry in entries]
    return json_answer({"logs": entries})
