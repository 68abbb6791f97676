"""`/metrics`: the measures and the ledger's numbers in Prometheus's text form."""

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from gateway.api.operations import Ask


async def metrics(ask: Ask) -> Response:
    ledger, registry = ask.backends.ledger, ask.backends.registry
    files = ask.site.measure_files
    measures = ask.site.measures if files is None else await files.sum()
    text = measures.render(
        await ledger.census(),
        await ledger.totals(),
        services=sum(1 for _ in registry.all()),
        unreadable=registry.unreadable(),
    )
    return Response(text, media_type=CONTENT_TYPE_LATEST)
