"""Markup: S3's XML, written by us and read from strangers.

Only elements and text: no attributes, no namespaces' meaning.

Reading refuses document types, so no entity can be declared, and bounds depth and number of elements; the
size of the text is bounded where it is received.
"""

import re
from dataclasses import dataclass, field
from xml.parsers import expat

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"

DEPTH_LIMIT = 16
ELEMENTS_LIMIT = 50_000
"""A DeleteObjects of 1,000 keys has 3,000,
a CompleteMultipartUpload of 10,000 parts with checksums 40,000."""

_SPECIAL = re.compile('[&<>"\r\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]')


class MarkupError(ValueError):
    """Not XML, or not XML we read."""


@dataclass(slots=True)
class Node:
    """An element. `name` is without its namespace; `text` is its own, not its children's."""

    name: str
    text: str = ""
    children: list["Node"] = field(default_factory=list)

    def all(self, name: str) -> list["Node"]:
        return [child for child in self.children if child.name == name]

    def value(self, name: str) -> str | None:
        """The text of the first child of this name."""
        return next((child.text for child in self.children if child.name == name), None)


def element(name: str, *content: str | int) -> str:
    """Content that is text is escaped; what `element` made is `Markup` and is not."""
    return Markup(f"<{name}>{''.join(_escaped(each) for each in content)}</{name}>")


class Markup(str):
    """Text that is XML already."""

    __slots__ = ()


def document(name: str, *content: str) -> bytes:
    """A whole answer in S3's namespace."""
    inner = "".join(_escaped(each) for each in content)
    text = f'{DECLARATION}<{name} xmlns="{NAMESPACE}">{inner}</{name}>'
    return text.encode()


def parse_markup(raw: bytes) -> Node:
    """The root element. Raises MarkupError, and nothing else, whatever the bytes."""
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reader.refuse
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(raw, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise MarkupError(str(error)) from error
    return reader.root


class _Reader:
    def __init__(self) -> None:
        self.root = Node("")
        self._open: list[Node] = []
        self._elements = 0

    def refuse(self, *_: object) -> None:
        raise MarkupError("document types are not read")

    def start(self, name: str, _: object) -> None:
        self._elements += 1
        if len(self._open) >= DEPTH_LIMIT or self._elements > ELEMENTS_LIMIT:
            raise MarkupError("too deep, or too many elements")
        node = Node(name.rpartition(" ")[2])
        if self._open:
            self._open[-1].children.append(node)
        else:
            self.root = node
        self._open.append(node)

    def end(self, _: str) -> None:
        self._open.pop()

    def text(self, data: str) -> None:
        self._open[-1].text += data


def _escaped(content: str | int) -> str:
    """Characters XML has no way for are written as references all the same, as S3 does:
    keys may hold them."""
    if isinstance(content, Markup):
        return content
    return _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", str(content))
