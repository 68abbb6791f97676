"""Whether the gateway lives (`/health`) and whether it can do its work (`/ready`)."""

from starlette.responses import Response

from gateway.actions.check_parts import check_parts
from gateway.api.answers import json_answer, text_answer
from gateway.api.errors import status_of
from gateway.api.operations import Ask
from gateway.domain.problems import Unavailable


async def health(_: Ask) -> Response:
    return text_answer("Ok")


async def ready(ask: Ask) -> Response:
    """Says which parts are not ready, without internals."""
    missing = await check_parts(ask.backends)
    if missing:
        return json_answer({"ready": False, "not_ready": missing}, status=status_of(Unavailable("")))
    return json_answer({"ready": True})
