"""What is compiled (pyproject.toml, [tool.oscar-gateway]): the same code, so that the whole suite runs on it,
too, in the copy that scripts/compile makes (`make test-compiled`). Here, what mypyc would get wrong."""

import ast
import importlib
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMPILED: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["oscar-gateway"][
    "compiled"
]
WAITS = (ast.Await, ast.AsyncFor, ast.AsyncWith)
NEVER_WAITS_AT_ITS_END = "asyncio.timeout"


@pytest.mark.parametrize("path", COMPILED)
def test_nothing_compiled_waits_while_an_exception_is_handled(path: str) -> None:
    """A coroutine of mypyc's has no exception state of its own: what others handle meanwhile takes the place
    of what it is to raise again, and its task never ends."""
    assert not [f"line {line}" for line in sorted(set(waits_amid(ast.parse((ROOT / path).read_text()))))]


@pytest.mark.skipif(not (ROOT / "build/compiled-from").exists(), reason="this is not the compiled copy")
@pytest.mark.parametrize("path", COMPILED)
def test_in_the_compiled_copy_it_is_what_runs(path: str) -> None:
    module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    assert str(module.__file__).endswith(".so")


def waits_amid(tree: ast.AST) -> Iterator[int]:
    """Lines. Leaving an `async with` is one such place, unless it is a time limit's."""
    for node in ast.walk(tree):
        match node:
            case ast.Try() | ast.TryStar():
                handling = [*node.finalbody, *(line for handler in node.handlers for line in handler.body)]
                for statement in handling:
                    yield from (inner.lineno for inner in ast.walk(statement) if isinstance(inner, WAITS))
            case ast.AsyncWith():
                if not all(ast.unparse(item).startswith(NEVER_WAITS_AT_ITS_END) for item in node.items):
                    yield node.lineno
