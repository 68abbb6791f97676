"""Rooms: how many may be at something at the same time, and how many more may wait for it, first come first
served. In the memory of one process; entering a room with a free place costs a look and an addition."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Room:
    """One name's. `waiting` are told, in order, by calling them; whoever is told has the place."""

    inside: int = 0
    waiting: deque[Callable[[], None]] = field(default_factory=deque)


class Rooms:
    """By name; an empty one is forgotten."""

    def __init__(self) -> None:
        self._rooms: dict[str, Room] = {}

    def enter(self, name: str, *, places: int) -> bool:
        """Take a free place; whether there was one."""
        room = self._rooms.get(name)
        if room is None:
            room = self._rooms[name] = Room()
        if room.inside >= places:
            return False
        room.inside += 1
        return True

    def wait(self, name: str, tell: Callable[[], None], *, seats: int) -> bool:
        """Be told when a place has become ours; whether there was a seat to wait on."""
        waiting = self._rooms[name].waiting
        if len(waiting) >= seats:
            return False
        waiting.append(tell)
        return True

    def leave(self, name: str) -> None:
        """Give the place to who waits longest, or free it."""
        room = self._rooms[name]
        if room.waiting:
            room.waiting.popleft()()
            return
        room.inside -= 1
        if not room.inside:
            del self._rooms[name]

    def give_up(self, name: str, tell: Callable[[], None]) -> None:
        """Wait no longer. Who was told meanwhile has the place, and leaves it."""
        self._rooms[name].waiting.remove(tell)
