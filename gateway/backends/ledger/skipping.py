"""The different values of an index's column, found by skipping from each one to the next."""

from sqlalchemy import CTE, Column, ColumnElement, func, select


def different_values(column: Column[str], *conditions: ColumnElement[bool]) -> CTE:
    """A table with the column `value`: each value once, and NULL at the end.

    One step along the index a value, however many rows have it (`SELECT DISTINCT` would read them all). The
    conditions must be those of the index.
    """
    values = select(func.min(column).label("value")).where(*conditions).cte("different", recursive=True)
    next_value = select(func.min(column)).where(*conditions, column > values.c.value).correlate(values)
    following = select(next_value.scalar_subquery()).where(values.c.value.is_not(None))
    return values.union_all(following)
