"""Errors: the one place that knows which HTTP status a Problem has, and in which form a client wants to
read it.

OSCAR's clients print an error's body, so on its routes it is one line of text (and nothing on 401, as
OSCAR has it). Our own routes under `/v1`, and clients that accept `application/problem+json`, get RFC
9457.
"""

from typing import Any

import structlog
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api.answers import json_answer, text_answer
from gateway.api.incoming import ClientGone
from gateway.domain import problems
from gateway.domain.problems import Problem

log = structlog.get_logger(__name__)

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER_S = 5
"""When a part is away and cannot say for how long."""

CLIENT_GONE = 499
"""Never sent: what logs and measures have for a client that went away before its answer, as proxies write
it."""

PAGE_NOT_FOUND = "404 page not found"
"""OSCAR's words for a path or a method that it does not have."""

STATUSES: dict[type[Problem], int] = {
    problems.Invalid: 400,
    problems.Unauthenticated: 401,
    problems.Forbidden: 403,
    problems.NotFound: 404,
    problems.Stalled: 408,
    problems.Conflict: 409,
    problems.TooLarge: 413,
    problems.KeyReused: 422,
    problems.TooMany: 429,
    problems.Problem: 500,
    problems.Unanswered: 502,
    problems.Unavailable: 503,
    problems.TimedOut: 504,
    problems.StorageFull: 507,
}


class Errors:
    """An ASGI layer: what the app inside raises becomes an answer. Once an answer has begun it is cut off
    instead, so that nobody takes a part for the whole."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except ClientGone:
            return
        except Exception as error:
            problem = told(error)
            if begun:
                log.warning("answer.cut", why=problem.detail)
                return
            await error_answer(problem, scope)(scope, receive, send)


def status_of(problem: Problem) -> int:
    return next(STATUSES[kind] for kind in type(problem).__mro__ if kind in STATUSES)


def error_answer(problem: Problem, scope: Scope) -> Response:
    status = status_of(problem)
    headers = _headers(problem, status, scope["path"])
    if wants_problem_json(scope):
        return json_answer(
            _document(problem, status, scope), status=status, media_type=PROBLEM_JSON, headers=headers
        )
    return text_answer("" if status == 401 else _one_line(problem.detail), status=status, headers=headers)


def wants_problem_json(scope: Scope) -> bool:
    return scope["path"].startswith("/v1/") or PROBLEM_JSON in Headers(scope=scope).get("accept", "")


def told(error: Exception) -> Problem:
    """What the caller is told: a Problem as it is, of anything else only where to look for it."""
    if isinstance(error, Problem):
        return error
    log.exception("request.broke", exc_info=error)
    request = structlog.contextvars.get_contextvars().get("request", "unknown")
    return Problem(f"an unexpected error; the gateway's log tells more under request {request}")


def _headers(problem: Problem, status: int, path: str) -> dict[str, str]:
    headers = {}
    if status == 401:
        called = path.startswith(("/run/", "/job/", "/events"))
        headers["WWW-Authenticate"] = (
            'Bearer realm="oscar"' if called else 'Basic realm="Authorization Required"'
        )
    after_s = problem.retry_after_s
    if after_s is None and status in (429, 503):
        after_s = RETRY_AFTER_S
    if after_s is not None:
        headers["Retry-After"] = str(after_s)
    return headers


def _document(problem: Problem, status: int, scope: Scope) -> dict[str, Any]:
    document: dict[str, Any] = {
        "type": f"/problems/{problem.kind}",
        "title": problem.title,
        "status": status,
        "detail": _one_line(problem.detail),
        "instance": scope["path"],
        "retryable": problem.retryable,
    }
    if problem.field is not None:
        document["field"] = problem.field
    return document


def _one_line(text: str) -> str:
    return " ".join(text.split())
