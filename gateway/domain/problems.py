"""What can go wrong, in the caller's words. HTTP statuses are not here: `api/errors.py` alone knows them.

Problem
├── Invalid          a field of the request is wrong; names it
├── Unauthenticated  no credential, or a wrong one
├── Forbidden        a good credential without the right
├── NotFound         the thing named does not exist
├── Conflict         it exists already, or its state does not allow this
├── KeyReused        an idempotency key came again with another request
├── TooLarge         over a limit; names the limit
├── Stalled          the client stopped sending what it announced
├── TooMany          one caller asks for too much at once; asking again later helps
├── TimedOut         a time limit of ours passed
├── Unanswered       a backend took a call and its answer did not come, or not whole
├── Unavailable      a part is away; asking again later helps
└── StorageFull      no space left to keep what was sent
"""

from typing import ClassVar


class Problem(Exception):
    """Anything a caller is told. `detail` is one line without secrets or internal addresses.

    `field` names what was wrong in the request; `retry_after_s` is a whole number of seconds, only where
    waiting helps.
    """

    kind: ClassVar[str] = "problem"
    title: ClassVar[str] = "Something went wrong"
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str, *, field: str | None = None, retry_after_s: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.retry_after_s = retry_after_s


class Invalid(Problem):
    kind = "invalid"
    title = "The request is not valid"


class Unauthenticated(Problem):
    kind = "unauthenticated"
    title = "A valid credential is needed"


class Forbidden(Problem):
    kind = "forbidden"
    title = "Not allowed"


class NotFound(Problem):
    kind = "not-found"
    title = "No such thing"


class Conflict(Problem):
    kind = "conflict"
    title = "It conflicts with what is there"


class KeyReused(Problem):
    kind = "key-reused"
    title = "The idempotency key belongs to another request"


class TooLarge(Problem):
    kind = "too-large"
    title = "Larger than the limit"


class Stalled(Problem):
    kind = "stalled"
    title = "The request did not come to its end in time"
    retryable = True


class TooMany(Problem):
    kind = "too-many"
    title = "Too many requests at the same time"
    retryable = True


class TimedOut(Problem):
    kind = "timed-out"
    title = "A time limit passed"


class Unanswered(Problem):
    """Not to be repeated by us: it may have been executed."""

    kind = "unanswered"
    title = "It was begun, but its answer did not come"


class Unavailable(Problem):
    kind = "unavailable"
    title = "A part is not available now"
    retryable = True


class StorageFull(Problem):
    kind = "storage-full"
    title = "No space left"
    retryable = True
