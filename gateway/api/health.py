"""Whether the gateway lives (`/health`) and whether it can do its work (`/ready`)."""

from starlette.responses import Response

from gateway.actions.check_parts import check_parts, impaired
from gateway.api.answers import json_answer, text_answer
from gateway.api.errors import status_of
from gateway.api.operations import Ask
from gateway.domain.problems import Unavailable


async def health(_: Ask) -> Response:
    return text_answer("Ok")


async def ready(ask: Ask) -> Response:
    """Says which parts are not ready, without internals. Without those that are only impaired it goes on
    accepting: nobody should be kept from it."""
    missing = await check_parts(ask.backends)
    spared = impaired(ask.backends, missing)
    if len(missing) > len(spared):
        return json_answer({"ready": False, "not_ready": missing}, status=status_of(Unavailable("")))
    return json_answer({"ready": True, "impaired": spared} if spared else {"ready": True})
