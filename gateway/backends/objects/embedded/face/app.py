"""The face's ASGI app: read, authenticate, find the operation, answer; and every refusal as S3's XML."""

import secrets
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime

import structlog
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.backends.objects.embedded.face.authentication import authenticate
from gateway.backends.objects.embedded.face.calls import Call
from gateway.backends.objects.embedded.face.errors import S3Error, error_document, error_of
from gateway.backends.objects.embedded.face.requests import S3Request, read_request
from gateway.backends.objects.embedded.face.routes import find_operation
from gateway.backends.objects.embedded.store import EmbeddedObjects
from gateway.backends.objects.protocol import OWN_BUCKET
from gateway.domain.problems import Problem

log = structlog.get_logger(__name__)

EXPOSED = (
    "ETag",
    "Content-Range",
    "Accept-Ranges",
    "Last-Modified",
    "x-amz-request-id",
    "x-amz-bucket-region",
)
"""Headers of an answer that a page of another origin may read."""


def build_face(store: EmbeddedObjects, *, origins: tuple[str, ...] = ()) -> ASGIApp:
    """The S3 face of an open store.

    `origins` are those whose pages may call it, `*` for all; none: no CORS at all.
    """
    face = Face(store)
    if not origins:
        return face
    return CORSMiddleware(
        face,
        allow_origins=list(origins),
        allow_methods=["GET", "HEAD", "PUT", "POST", "DELETE"],
        allow_headers=["*"],
        expose_headers=EXPOSED,
        max_age=3600,
    )


class Face:
    """The app itself, without CORS."""

    def __init__(self, store: EmbeddedObjects) -> None:
        self._store = store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request_id = secrets.token_hex(8).upper()
        async with AsyncExitStack() as held:
            response = await self._answer(scope, receive, held, request_id)
            response.headers["x-amz-request-id"] = request_id
            with suppress(ClientDisconnect):
                await response(scope, receive, send)

    async def _answer(
        self, scope: Scope, receive: Receive, held: AsyncExitStack, request_id: str
    ) -> Response:
        try:
            request = read_request(scope, receive, held, request_id=request_id)
            return await self._operate(request)
        except S3Error as error:
            return self._refusal(error, scope, request_id)
        except Problem as problem:
            return self._refusal(error_of(problem), scope, request_id)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is left to read it
        except Exception:
            log.exception("s3.broke", request=request_id)
            return self._refusal(S3Error("InternalError", "something went wrong here"), scope, request_id)

    async def _operate(self, request: S3Request) -> Response:
        identity = authenticate(request, self._store.provider, now=datetime.now(UTC))
        if request.bucket == OWN_BUCKET:
            raise S3Error("AccessDenied", "the bucket is the gateway's own")
        operation = find_operation(request)
        return await operation(Call(self._store, request, identity))

    def _refusal(self, error: S3Error, scope: Scope, request_id: str) -> Response:
        if error.status >= 500 and error.code != "NotImplemented":
            log.warning("s3.failed", request=request_id, code=error.code, message=error.message)
        if scope["method"] == "HEAD":
            # Also to strangers, as AWS: so clients learn the region to sign for.
            return Response(
                status_code=error.status, headers={"x-amz-bucket-region": self._store.provider.region}
            )
        if error.code == "NotModified":
            return Response(status_code=error.status)
        content = error_document(error, resource=scope["path"], request_id=request_id)
        return Response(content, error.status, media_type="application/xml")
