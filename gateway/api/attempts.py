"""`/v1/attempts/{attempt}/…`: what the pod of an attempt asks of the gateway, with its claim and nothing
else."""

from dataclasses import asdict
from typing import Any

from starlette.responses import Response, StreamingResponse

from gateway.actions.accept_report import accept_report, keep_result
from gateway.actions.hand_out_order import hand_out_order, read_payload
from gateway.actions.link_objects import ObjectLink, Wish, link_objects
from gateway.actions.upload_outputs import abort_upload, begin_upload, complete_upload
from gateway.api.answers import JSON, empty_answer, json_answer, milliseconds
from gateway.api.json_body import parse_object, text, texts
from gateway.api.operations import Ask
from gateway.domain.job import AttemptId
from gateway.domain.parted import PARTS_LIMIT
from gateway.domain.problems import Invalid, Unauthenticated

KNOWN = {"method": str, "bucket": str, "key": str, "content_type": str, "upload": str, "part": int}
"""Of a wish."""


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


async def begin(ask: Ask) -> Response:
    attempt, (where, _) = _claimed(ask), await _upload(ask)
    return json_answer({"upload": await begin_upload(ask.backends, attempt, where)})


async def complete(ask: Ask) -> Response:
    attempt, (where, body) = _claimed(ask), await _upload(ask)
    stored = await complete_upload(ask.backends, attempt, where, texts(body, "etags", most=PARTS_LIMIT))
    return json_answer({"etag": stored.etag, "size_bytes": stored.size_bytes})


async def abort(ask: Ask) -> Response:
    attempt, (where, _) = _claimed(ask), await _upload(ask)
    await abort_upload(ask.backends, attempt, where)
    return empty_answer(204)


async def _upload(ask: Ask) -> tuple[Wish, dict[str, Any]]:
    """Which one, and all that the body says."""
    body = parse_object(await ask.incoming.whole())
    kind = text(body, "content_type", default="application/octet-stream")
    where = Wish("PUT", text(body, "bucket"), text(body, "key"), kind, upload=text(body, "upload"))
    return where, body


def _claimed(ask: Ask) -> AttemptId:
    """The attempt of the path, if the claim is one for it."""
    if ask.caller.name != ask.path["attempt"]:
        raise Unauthenticated("the claim is one of another attempt")
    return AttemptId(ask.caller.name)


def _wish(given: object) -> Wish:
    if not isinstance(given, dict) or not {"method", "bucket", "key"} <= given.keys() <= KNOWN.keys():
        raise Invalid("links: method, bucket and key are needed", field="links")
    if any(type(one) is not KNOWN[name] for name, one in given.items()):
        raise Invalid("links: all are texts, but the part a whole number", field="links")
    if given["method"] not in ("GET", "PUT"):
        raise Invalid("links: the method is GET or PUT", field="links")
    return Wish(**given)


def _shown(link: ObjectLink) -> dict[str, Any]:
    there = link.there
    shown = None if there is None else {**asdict(there), "modified_at": milliseconds(there.modified_at)}
    return {"url": link.url, "headers": link.headers, "there": shown}
