"""The ledger's tables and indexes, in any SQL dialect. Which statement needs an index is said next to it.

Not the way they came to be: that is `migrations`, and a test holds the two to the same schema.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    literal,
    text,
)

from gateway.domain.job import JobState

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

NEVER = EPOCH
"""`announced_at` of a job never announced, `queued_at` of one that is to be announced at once."""


class Micros(TypeDecorator[datetime]):
    """A UTC time as whole microseconds since 1970: exact, and the same in every dialect."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002, the base's name
        return None if value is None else micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002, the base's name
        return None if value is None else moment(value)


class Line(TypeDecorator[str]):
    """Text for people, of whatever origin: what a database cannot keep (NUL, half a character) is U+FFFD."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002, the base's name
        if value is None:
            return None
        return value.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def micros(at: datetime) -> int:
    return (at - EPOCH) // MICROSECOND


def moment(value: int) -> datetime:
    return EPOCH + value * MICROSECOND


metadata = MetaData()

PLAIN = Text().with_variant(Text(collation="C"), "postgresql")
"""Text in an index, compared byte by byte: a locale's order is slower, and changes with the C library."""

JOBS = Table(
    "jobs",
    metadata,
    Column("id", PLAIN, primary_key=True),
    Column("service", PLAIN, nullable=False),
    Column("service_uid", PLAIN, nullable=False),
    Column("cause", PLAIN, nullable=False),
    Column("owner", Text, nullable=False),
    Column("state", PLAIN, nullable=False),
    Column("reason", Line, nullable=False),
    Column("created_at", Micros, nullable=False),
    Column("queued_at", Micros, nullable=False),
    Column("announced_at", Micros, nullable=False),
    Column("started_at", Micros),
    Column("finished_at", Micros),
    Column("due_at", Micros),
    Column("attempts", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("interruptions", Integer, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("exit_code", Integer),
    Column("payload_size", BigInteger),
    Column("payload_key", Text),
    Column("stored", JSON(none_as_null=True)),
    Column("kept", JSON(none_as_null=True)),
)

# Listings: a page is merged from one index walk for each cause (and each wanted state), whatever the filter.
Index("jobs_by_cause", JOBS.c.cause, JOBS.c.created_at, JOBS.c.id)
Index("jobs_by_service", JOBS.c.service, JOBS.c.cause, JOBS.c.created_at, JOBS.c.id)
Index("jobs_by_state", JOBS.c.state, JOBS.c.cause, JOBS.c.created_at, JOBS.c.id)
Index("jobs_by_service_state", JOBS.c.service, JOBS.c.state, JOBS.c.cause, JOBS.c.created_at, JOBS.c.id)


def _partial(name: str, *columns: Column[datetime] | Column[str], where: str) -> None:
    Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


# What the loops ask again and again: each index holds only the jobs that the question is about. That they all
# have one state stands in it nevertheless: without that SQLite takes `jobs_by_state` for the better one.
_partial(
    "jobs_queued", JOBS.c.state, JOBS.c.announced_at, JOBS.c.queued_at, JOBS.c.id, where="state = 'queued'"
)
_partial("jobs_due", JOBS.c.due_at, JOBS.c.id, where="due_at IS NOT NULL")
_partial(
    "jobs_gated",
    JOBS.c.state,
    JOBS.c.service,
    JOBS.c.created_at,
    JOBS.c.id,
    where="state = 'waiting' AND due_at IS NULL",
)
_partial("jobs_finished", JOBS.c.state, JOBS.c.finished_at, JOBS.c.id, where="finished_at IS NOT NULL")
# What a service leaves behind, and which services left something.
Index("jobs_by_uid", JOBS.c.service_uid, JOBS.c.state, JOBS.c.finished_at, JOBS.c.id)

CONTENTS = Table(
    "contents",
    metadata,
    Column("job_id", PLAIN, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("payload", LargeBinary),
    Column("notice", LargeBinary),
)
"""The bytes a job came with, apart from it: listings never read them."""

ATTEMPTS = Table(
    "attempts",
    metadata,
    Column("job_id", PLAIN, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("claimed_at", Micros, nullable=False),
    Column("started_at", Micros),
    Column("finished_at", Micros),
    Column("reason", Text),
    Column("exit_code", Integer),
    Column("detail", Line, nullable=False),
    Column("held_at", Micros),
    Column("takeovers", Integer, nullable=False, server_default="0"),
)
"""`held_at`: when whoever launches it said so last; null until it takes long."""

REMEMBERED = Table(
    "remembered",
    metadata,
    Column("id", PLAIN, primary_key=True),
    Column("service_uid", PLAIN, nullable=False),
    Column("at", Micros, nullable=False),
)
"""Every id ever accepted, also of jobs removed since."""

KEYS = Table(
    "idempotency_keys",
    metadata,
    Column("scope", PLAIN, primary_key=True),
    Column("key", PLAIN, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("job_id", PLAIN, nullable=False),
    Column("expires_at", Micros, nullable=False),
)

Index("remembered_by_uid", REMEMBERED.c.service_uid)
Index("idempotency_keys_by_expiry", KEYS.c.expires_at)

COUNTERS = Table(
    "counters",
    metadata,
    Column("name", PLAIN, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""A total is the sum of those whose name is its own, or begins with it and a colon."""

DURATIONS = Table(
    "durations",
    metadata,
    Column("name", PLAIN, primary_key=True),
    Column("weights", JSON, nullable=False),
)
"""What was learned of how long calls take: a service's uid, with a suffix for each further account."""


def is_state(state: JobState) -> ColumnElement[bool]:
    """The state, written out: a partial index serves only where the statement's text shows that it can."""
    return JOBS.c.state == literal(state.value, literal_execute=True)
