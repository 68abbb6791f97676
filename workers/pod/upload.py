"""An upload in parts: a large output put by links, a part after the other, each again on its own. Nothing is
seen of it before all of it is there. One whose pod dies is the gateway's to abort."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from gateway.domain.parted import PARTS_LIMIT, part_bytes
from gateway.domain.problems import Forbidden, NotFound, Problem, TooLarge, Unavailable
from workers.pod.gateway import Gateway
from workers.pod.laying import Laying, Piece
from workers.pod.links import Link

PAUSES_S = (0.5, 2.0, 8.0, 30.0)
"""Before a part is put again: what is behind it has cost more."""
LINKS_AT_ONCE = 64
"""At most; they last as long as staging may take, from when they are asked for."""
ABORT_PATIENCE_S = 10.0

Send = Callable[[str, Link, Piece], Awaitable[str]]
"""Puts a piece to a bucket by a link; its eTag."""


class PartRefused(Problem):
    """A part could not be put, however often. Not Unavailable: asked again, it would begin at the first."""


class Upload:
    """Of one output; `where` has its bucket, key and content type."""

    def __init__(
        self, gateway: Gateway, where: dict[str, str], send: Send, *, pauses_s: Sequence[float]
    ) -> None:
        self._gateway = gateway
        self._where = where
        self._send = send
        self._pauses_s = pauses_s
        self._links: dict[int, Link] = {}

    async def put(self, first: Piece, rest: Laying) -> str:
        """The object's eTag. Raises PartRefused, TooLarge, what laying down and the gateway raise, and
        Unavailable where the store gave the upload up."""
        begun = await self._gateway.begin_upload(self._where)
        self._where = {**self._where, "upload": begun}
        try:
            return await self._complete(await self._put_all(first, rest))
        except BaseException:
            with suppress(Problem):
                await self._gateway.abort_upload(self._where, patience_s=ABORT_PATIENCE_S)
            raise

    async def _put_all(self, first: Piece, rest: Laying) -> list[str]:
        piece, etags = first, list[str]()
        while True:
            with piece.file:
                etags.append(await self._put_part(len(etags) + 1, piece))
            if piece.last:
                return etags
            if len(etags) == PARTS_LIMIT:
                raise TooLarge(f"an object has at most {PARTS_LIMIT} parts")
            piece = await rest.piece(part_bytes(len(etags) + 1))

    async def _put_part(self, number: int, piece: Piece) -> str:
        pauses = iter(self._pauses_s)
        while True:
            link = await self._link(number)
            try:
                piece.file.seek(0)
                return await self._send(self._where["bucket"], link, piece)
            except NotFound as problem:
                raise self._over() from problem
            except (Unavailable, Forbidden) as problem:
                # A link that has run out is forbidden; the next one is new.
                pause_s = next(pauses, None)
                if pause_s is None:
                    why = f"part {number} of {self._where['key']} could not be put: {problem.detail}"
                    raise PartRefused(why) from problem
                print(f"part {number} is put again: {problem.detail}", file=sys.stderr)  # noqa: T201
            await asyncio.sleep(pause_s)

    async def _link(self, number: int) -> Link:
        """Used once. Few are asked for at first: most outputs have few parts."""
        if number not in self._links:
            count = min(LINKS_AT_ONCE, max(4, number - 1))
            numbers = range(number, min(number + count, PARTS_LIMIT + 1))
            place = {name: self._where[name] for name in ("bucket", "key", "upload")}
            wishes = [{"method": "PUT", **place, "part": one} for one in numbers]
            self._links = dict(zip(numbers, await self._gateway.links(wishes), strict=True))
        return self._links.pop(number)

    async def _complete(self, etags: list[str]) -> str:
        try:
            return await self._gateway.complete_upload(self._where, etags)
        except NotFound as problem:
            raise self._over() from problem

    def _over(self) -> Unavailable:
        return Unavailable(f"the upload of {self._where['key']} was over before it was complete")
