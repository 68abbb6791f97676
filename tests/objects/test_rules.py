"""Rules of ours in a bucket's notification, beside everybody else's."""

import pytest

from gateway.backends.objects.markup import Node, parse_markup
from gateway.backends.objects.s3.rules import EVENTS, covering, merged

ARN = "arn:minio:sqs::GW:webhook"
EMPTY = Node("NotificationConfiguration")
FOREIGN = parse_markup(
    b'<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><EventBridgeConfiguration/>'
    b"<TopicConfiguration><Id>own-theirs</Id><Topic>arn:aws:sns:x</Topic><Event>s3:ObjectRemoved:*</Event>"
    b"</TopicConfiguration></NotificationConfiguration>"
)


def written(current: Node, *prefixes: str, owner: str = "own", arn: str = ARN) -> Node | None:
    raw = merged(current, owner=owner, arn=arn, prefixes=prefixes)
    return None if raw is None else parse_markup(raw)


def test_what_is_there_already_is_not_written_again() -> None:
    first = written(EMPTY, "in/", "")
    assert first is not None
    assert written(first, "") is None
    assert written(EMPTY) is None


def test_what_others_have_stays_whatever_it_is() -> None:
    with_ours = written(FOREIGN, "a/", "b/")
    assert with_ours is not None
    assert [each.name for each in with_ours.children] == [
        "EventBridgeConfiguration",
        "TopicConfiguration",
        "QueueConfiguration",
        "QueueConfiguration",
    ]
    without = written(with_ours)
    assert without == FOREIGN


def test_one_that_was_changed_by_hand_is_put_right() -> None:
    first = written(EMPTY, "in/")
    assert first is not None
    (rule,) = first.children
    assert {event.text for event in rule.all("Event")} == set(EVENTS)
    rule.children.remove(rule.all("Event")[0])
    assert written(first, "in/") == written(EMPTY, "in/")


def test_another_target_or_owner_has_other_rules() -> None:
    first = written(EMPTY, "in/")
    assert first is not None
    moved = written(first, "in/", arn="arn:minio:sqs::NEW:webhook")
    assert moved is not None
    assert [rule.value("Queue") for rule in moved.children] == ["arn:minio:sqs::NEW:webhook"]
    both = written(first, "in/", owner="other")
    assert both is not None
    assert len(both.children) == 2


@pytest.mark.parametrize(
    ("prefixes", "fewest"),
    [
        ([], []),
        (["in/", "in/sub/", "inner/"], ["in/", "inner/"]),
        (["in/", ""], [""]),
        (["a\\b/", "c/../d/", "e/./f/", "g../h.i/"], ["a", "c/", "e/", "g../h.i/"]),
        ([f"job/{number}/" for number in range(101)], ["job/"]),
    ],
)
def test_the_fewest_prefixes_that_a_store_takes_cover_all(prefixes: list[str], fewest: list[str]) -> None:
    assert covering(prefixes) == fewest
