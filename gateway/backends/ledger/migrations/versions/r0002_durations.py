"""How long calls took, as it was learned."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

PLAIN = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "durations",
        sa.Column("name", PLAIN, primary_key=True),
        sa.Column("weights", sa.JSON, nullable=False),
    )
