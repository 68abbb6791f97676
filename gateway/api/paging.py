"""Pages of jobs: the cursor a request came with, and the one its answer hands out."""

from starlette.datastructures import QueryParams

from gateway.backends.ledger.protocol import JobPage
from gateway.domain.job import Cursor
from gateway.domain.page import cursor_text, parse_cursor


def cursor_in(query: QueryParams, name: str) -> Cursor | None:
    """None for the first page: oscar-cli sends the key empty then. Raises Invalid."""
    text = query.get(name, "")
    return parse_cursor(text, field=name) if text else None


def next_page(page: JobPage, *, key: str) -> dict[str, str]:
    """The cursor of the page after this one under `key`, which is left out at the end."""
    if not page.remaining:
        return {}
    last = page.jobs[-1]
    return {key: cursor_text(Cursor(last.created_at, last.id))}
