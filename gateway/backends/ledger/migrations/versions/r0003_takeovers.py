"""Who launches a claimed attempt: when that worker last said so, and how often another one took it over."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("attempts", sa.Column("held_at", sa.BigInteger))
    op.add_column("attempts", sa.Column("takeovers", sa.Integer, nullable=False, server_default="0"))
