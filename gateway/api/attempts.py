"""`/v1/attempts/{attempt}/…`: what the pod of an attempt asks of the gateway, with its claim and nothing
else."""

from dataclasses import asdict
from typing import Any

from starlette.responses import Response, StreamingResponse

from gateway.actions.accept_report import accept_report, keep_result
from gateway.actions.hand_out_order import hand_out_order, read_payload
from gateway.actions.link_objects import ObjectLink, Wish, link_objects
from gateway.api.answers import JSON, empty_answer, json_answer, milliseconds
from gateway.api.json_body import parse_object
from gateway.api.operations import Ask
from gateway.domain.job import AttemptId
from gateway.domain.problems import Invalid, Unauthenticated


async def order(ask: Ask) -> Response:
    """Its work order, as `domain.work_order` reads it."""
    found = await hand_out_order(ask.backends, _claimed(ask))
    return Response(found.to_json(), media_type=JSON)


async def payload(ask: Ask) -> Response:
    return StreamingResponse(await read_payload(ask.backends, _claimed(ask)))


async def links(ask: Ask) -> Response:
    attempt = _claimed(ask)
    body = parse_object(await ask.incoming.whole())
    asked = body.get("links")
    if not isinstance(asked, list):
        raise Invalid("links: a list is needed", field="links")
    found = await link_objects(ask.backends, attempt, [_wish(one) for one in asked])
    return json_answer({"links": [_shown(link) for link in found]})


async def result(ask: Ask) -> Response:
    await keep_result(ask.backends, _claimed(ask), ask.incoming.chunks())
    return empty_answer(204)


async def report(ask: Ask) -> Response:
    await accept_report(ask.backends, _claimed(ask), await ask.incoming.whole())
    return empty_answer(204)


def _claimed(ask: Ask) -> AttemptId:
    """The attempt of the path, if the claim is one for it."""
    if ask.caller.name != ask.path["attempt"]:
        raise Unauthenticated("the claim is one of another attempt")
    return AttemptId(ask.caller.name)


def _wish(given: object) -> Wish:
    known = {"method", "bucket", "key", "content_type"}
    texts = isinstance(given, dict) and all(isinstance(one, str) for one in given.values())
    if not isinstance(given, dict) or not texts or not {"method", "bucket", "key"} <= given.keys() <= known:
        raise Invalid("links: method, bucket and key are needed", field="links")
    if given["method"] not in ("GET", "PUT"):
        raise Invalid("links: the method is GET or PUT", field="links")
    return Wish(**given)


def _shown(link: ObjectLink) -> dict[str, Any]:
    there = link.there
    shown = None if there is None else {**asdict(there), "modified_at": milliseconds(there.modified_at)}
    return {"url": link.url, "headers": link.headers, "there": shown}
