"""Places in a room, and seats before it."""

from gateway.domain.rooms import Rooms


def test_a_room_has_so_many_places_and_another_has_its_own() -> None:
    rooms = Rooms()
    assert [rooms.enter("a", places=2) for _ in range(3)] == [True, True, False]
    assert rooms.enter("b", places=2)
    rooms.leave("a")
    assert rooms.enter("a", places=2)


def test_who_waits_gets_the_place_in_order_of_coming() -> None:
    rooms, told = Rooms(), list[str]()
    rooms.enter("a", places=1)
    assert rooms.wait("a", lambda: told.append("first"), seats=2)
    assert rooms.wait("a", lambda: told.append("second"), seats=2)
    assert not rooms.wait("a", lambda: told.append("third"), seats=2)
    rooms.leave("a")
    assert told == ["first"]
    assert not rooms.enter("a", places=1)
    rooms.leave("a")
    assert told == ["first", "second"]
    rooms.leave("a")
    assert rooms.enter("a", places=1)


def test_who_gives_up_is_not_told() -> None:
    rooms, told = Rooms(), list[str]()

    def first() -> None:
        told.append("first")

    rooms.enter("a", places=1)
    rooms.wait("a", first, seats=2)
    rooms.wait("a", lambda: told.append("second"), seats=2)
    rooms.give_up("a", first)
    rooms.leave("a")
    assert told == ["second"]
