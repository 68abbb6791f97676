"""What a store refuses, as Problems. A credential of ours that it refuses is no caller's fault: the part is
not available until an operator has mended it."""

import re
from collections.abc import Callable

from gateway.backends.objects.markup import MarkupError, parse_markup
from gateway.backends.objects.refusals import (
    BucketMissing,
    BucketNameInvalid,
    BucketNotEmpty,
    KeyInvalid,
    ObjectMissing,
    UploadMissing,
)
from gateway.domain.problems import Conflict, Invalid, Problem, StorageFull, TooLarge, Unavailable

RETRY_S = 1

_CODE = re.compile(r"[A-Za-z0-9]{1,64}")
_KEY_REFUSED = frozenset(
    {
        "InvalidURI",
        "KeyTooLongError",
        "ObjectParentIsFile",
        "XMinioInvalidObjectName",
        "XMinioInvalidResourceName",
    }
)
_PARTS_REFUSED = frozenset({"InvalidPart", "InvalidPartOrder", "EntityTooSmall"})
_FULL = frozenset({"XMinioStorageFull", "StorageFull", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded"})
_TAKEN = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})
_WHY = {
    "InvalidAccessKeyId": "the object store does not know the access key (S3_ACCESS_KEY)",
    "SignatureDoesNotMatch": "the object store does not accept the secret key (S3_SECRET_KEY)",
    "AccessDenied": "the object store does not allow this to the access key (S3_ACCESS_KEY)",
    "AuthorizationHeaderMalformed": "the object store signs for another region (S3_REGION)",
    "InvalidRegion": "the object store signs for another region (S3_REGION)",
    "PermanentRedirect": "the bucket is in another region (S3_REGION)",
    "RequestTimeTooSkewed": "the object store's clock and this machine's differ too much",
}
_HEADLESS = {403: "AccessDenied", 404: "NoSuchKey", 409: "Conflict", 416: "InvalidRange", 507: "StorageFull"}
"""What a status stands for where no body says more: answers to HEAD."""


class BucketTaken(Conflict):
    """The bucket is there already."""


class NothingInRange(Invalid):
    """The object ends before the bytes asked for."""


class NoSuchTags(Problem):
    """The bucket has none."""


class TargetMissing(Unavailable):
    """The store does not know the target of its notifications (S3_EVENTS_ARN), or not yet: at its own start
    it answers before it has read its targets."""


class NotOffered(Unavailable):
    """The store does not have this at all."""


def refusal(status: int, body: bytes, *, bucket: str, key: str = "") -> Problem:
    """The Problem of an answer that is no success, or of a success whose body says otherwise."""
    code, message = _told(body)
    code = code or _HEADLESS.get(status, "")
    if known := _known(code, bucket, key):
        return known
    if code == "InvalidArgument" and "ARN" in message:
        return TargetMissing("the object store does not know the target S3_EVENTS_ARN", retry_after_s=RETRY_S)
    if code in _WHY:
        return Unavailable(_WHY[code], retry_after_s=RETRY_S)
    told = f": {code}" if code else ""
    if 400 <= status < 500 and status not in (408, 429):
        return Unavailable(f"the object store refused with {status}{told}", retry_after_s=RETRY_S)
    return Unavailable(f"the object store could not answer ({status}{told})", retry_after_s=RETRY_S)


def _known(code: str, bucket: str, key: str) -> Problem | None:
    makers: dict[str, Callable[[], Problem]] = {
        "NoSuchBucket": lambda: BucketMissing(bucket),
        "NoSuchKey": lambda: ObjectMissing(bucket, key) if key else BucketMissing(bucket),
        "NoSuchUpload": UploadMissing,
        "NoSuchTagSet": lambda: NoSuchTags("the bucket has no tags"),
        "InvalidBucketName": BucketNameInvalid,
        "BucketNotEmpty": lambda: BucketNotEmpty(bucket),
        "InvalidRange": lambda: NothingInRange("the object ends before that"),
        "InvalidTag": lambda: Invalid("the object store cannot keep such a tag", field="tags"),
        "EntityTooLarge": lambda: TooLarge("the object store does not take an object this large"),
        "NotImplemented": lambda: NotOffered("the object store does not offer this"),
        **dict.fromkeys(_KEY_REFUSED, KeyInvalid),
        **dict.fromkeys(_PARTS_REFUSED, lambda: Invalid("the parts do not make up an object", field="parts")),
        **dict.fromkeys(_FULL, lambda: StorageFull("the object store has no space left")),
        **dict.fromkeys(_TAKEN, lambda: BucketTaken(f"the bucket {bucket} exists already")),
    }
    return makers[code]() if code in makers else None


def _told(body: bytes) -> tuple[str, str]:
    """Code and message; empty where the body is none of S3's."""
    try:
        root = parse_markup(body)
    except MarkupError:
        return "", ""
    code = root.value("Code") or ""
    return (code if _CODE.fullmatch(code) else ""), root.value("Message") or ""
