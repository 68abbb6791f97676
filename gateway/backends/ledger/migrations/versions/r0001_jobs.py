"""Jobs, their attempts, what they came with, the ids ever accepted, idempotency keys, counters."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

PLAIN = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    _create_jobs()
    _create_job_indexes()
    _create_parts_of_jobs()
    _create_remembered()
    _create_keys()
    _create_counters()


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", PLAIN, primary_key=True),
        sa.Column("service", PLAIN, nullable=False),
        sa.Column("service_uid", PLAIN, nullable=False),
        sa.Column("cause", PLAIN, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("state", PLAIN, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("queued_at", sa.BigInteger, nullable=False),
        sa.Column("announced_at", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("interruptions", sa.Integer, nullable=False),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("exit_code", sa.Integer),
        sa.Column("payload_size", sa.BigInteger),
        sa.Column("payload_key", sa.Text),
        sa.Column("stored", sa.JSON),
        sa.Column("kept", sa.JSON),
    )


def _create_job_indexes() -> None:
    op.create_index("jobs_by_cause", "jobs", ["cause", "created_at", "id"])
    op.create_index("jobs_by_service", "jobs", ["service", "cause", "created_at", "id"])
    op.create_index("jobs_by_state", "jobs", ["state", "cause", "created_at", "id"])
    op.create_index("jobs_by_service_state", "jobs", ["service", "state", "cause", "created_at", "id"])
    _create_partial("jobs_queued", ["state", "announced_at", "queued_at", "id"], where="state = 'queued'")
    _create_partial("jobs_due", ["due_at", "id"], where="due_at IS NOT NULL")
    _create_partial(
        "jobs_gated", ["state", "service", "created_at", "id"], where="state = 'waiting' AND due_at IS NULL"
    )
    _create_partial("jobs_finished", ["state", "finished_at", "id"], where="finished_at IS NOT NULL")
    op.create_index("jobs_by_uid", "jobs", ["service_uid", "state", "finished_at", "id"])


def _create_partial(name: str, columns: list[str], *, where: str) -> None:
    op.create_index(name, "jobs", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _create_parts_of_jobs() -> None:
    op.create_table(
        "contents",
        sa.Column("job_id", PLAIN, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("payload", sa.LargeBinary),
        sa.Column("notice", sa.LargeBinary),
    )
    op.create_table(
        "attempts",
        sa.Column("job_id", PLAIN, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("claimed_at", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("reason", sa.Text),
        sa.Column("exit_code", sa.Integer),
        sa.Column("detail", sa.Text, nullable=False),
    )


def _create_remembered() -> None:
    op.create_table(
        "remembered",
        sa.Column("id", PLAIN, primary_key=True),
        sa.Column("service_uid", PLAIN, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("remembered_by_uid", "remembered", ["service_uid"])


def _create_keys() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("scope", PLAIN, primary_key=True),
        sa.Column("key", PLAIN, primary_key=True),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("idempotency_keys_by_expiry", "idempotency_keys", ["expires_at"])


def _create_counters() -> None:
    counters = op.create_table(
        "counters",
        sa.Column("name", PLAIN, primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(counters, [{"name": "accepted", "value": 0}, {"name": "removed", "value": 0}])
