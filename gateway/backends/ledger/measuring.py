"""How long calls took, as it was learned: small documents by name."""

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.backends.ledger.tables import DURATIONS


async def replace_durations(connection: AsyncConnection, weights: Mapping[str, Sequence[float]]) -> None:
    """The new ones in the place of those of the same names."""
    rows = [{"name": name, "weights": list(one)} for name, one in weights.items()]
    for row in rows:
        await connection.execute(delete(DURATIONS).where(DURATIONS.c.name == row["name"]))
    if rows:
        await connection.execute(insert(DURATIONS), rows)


async def forget_durations(connection: AsyncConnection, service_uid: str) -> None:
    """All whose name begins with the uid."""
    mine = DURATIONS.c.name.startswith(service_uid, autoescape=True)
    await connection.execute(delete(DURATIONS).where(mine))
