"""Errors: S3's error codes, their HTTP statuses and their XML.

Everything the face refuses is one of these.
"""

from gateway.backends.objects.markup import DECLARATION, element
from gateway.backends.objects.refusals import (
    BucketMissing,
    BucketNameInvalid,
    BucketNotEmpty,
    KeyInvalid,
    ObjectMissing,
    PartInvalid,
    PartOrderInvalid,
    PartTooSmall,
    PreconditionFailed,
    UploadMissing,
)
from gateway.domain.problems import Forbidden, Invalid, Problem, StorageFull, TooLarge, Unavailable

STATUSES = {
    "AccessDenied": 403,
    "AuthorizationHeaderMalformed": 400,
    "AuthorizationQueryParametersError": 400,
    "BadDigest": 400,
    "BucketAlreadyOwnedByYou": 409,
    "BucketNotEmpty": 409,
    "EntityTooLarge": 400,
    "EntityTooSmall": 400,
    "IncompleteBody": 400,
    "InternalError": 500,
    "InvalidAccessKeyId": 403,
    "InvalidArgument": 400,
    "InvalidBucketName": 400,
    "InvalidDigest": 400,
    "InvalidPart": 400,
    "InvalidPartOrder": 400,
    "InvalidRange": 416,
    "InvalidRequest": 400,
    "InvalidTag": 400,
    "InvalidURI": 400,
    "KeyTooLongError": 400,
    "MalformedXML": 400,
    "MetadataTooLarge": 400,
    "MethodNotAllowed": 405,
    "NoSuchBucket": 404,
    "NoSuchKey": 404,
    "NoSuchTagSet": 404,
    "NoSuchUpload": 404,
    "NotImplemented": 501,
    "NotModified": 304,
    "PreconditionFailed": 412,
    "RequestHeaderSectionTooLarge": 400,
    "RequestTimeTooSkewed": 403,
    "RequestTimeout": 400,
    "ServiceUnavailable": 503,
    "SignatureDoesNotMatch": 403,
    "StorageFull": 507,
    "XAmzContentSHA256Mismatch": 400,
}

# Looked through in order: the finer kinds before the domain's own.
_CODES: tuple[tuple[type[Problem], str], ...] = (
    (BucketMissing, "NoSuchBucket"),
    (ObjectMissing, "NoSuchKey"),
    (UploadMissing, "NoSuchUpload"),
    (BucketNotEmpty, "BucketNotEmpty"),
    (PreconditionFailed, "PreconditionFailed"),
    (BucketNameInvalid, "InvalidBucketName"),
    (KeyInvalid, "KeyTooLongError"),
    (PartInvalid, "InvalidPart"),
    (PartOrderInvalid, "InvalidPartOrder"),
    (PartTooSmall, "EntityTooSmall"),
    (TooLarge, "EntityTooLarge"),
    (Invalid, "InvalidArgument"),
    (Forbidden, "AccessDenied"),
    (StorageFull, "StorageFull"),
    (Unavailable, "ServiceUnavailable"),
)


class S3Error(Exception):
    """A refusal by one of the codes in `STATUSES`; the message is for people and holds no secret."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message

    @property
    def status(self) -> int:
        return STATUSES[self.code]


def error_of(problem: Problem) -> S3Error:
    """What S3 calls it."""
    code = next((code for kind, code in _CODES if isinstance(problem, kind)), "InternalError")
    return S3Error(code, problem.detail)


def error_document(error: S3Error, *, resource: str, request_id: str) -> bytes:
    """The one document of S3's that has no namespace."""
    told = element(
        "Error",
        element("Code", error.code),
        element("Message", error.message),
        element("Resource", resource),
        element("RequestId", request_id),
    )
    return (DECLARATION + told).encode()
