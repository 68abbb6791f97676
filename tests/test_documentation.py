"""Documentation that fails the build when it is not true any more."""

import re
from pathlib import Path

import pytest

from gateway import __version__
from gateway.settings import Settings

ROOT = Path(__file__).parents[1]


def settings_table() -> str:
    """The README's table, as the settings' own descriptions make it."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default == "" else f"`{field.default}`"
        rows.append(f"| `{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows)


def test_the_readme_lists_every_setting_with_its_default_and_meaning() -> None:
    readme = (ROOT / "README.md").read_text()
    found = re.search(r"<!-- settings:.*?-->\n(.*?)\n<!-- end of settings -->", readme, re.DOTALL)
    assert found is not None
    assert found[1] == settings_table(), f"the table should be:\n{settings_table()}"


def test_the_readme_opens_with_the_two_commands() -> None:
    commands = re.search(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert commands is not None
    assert [line.partition("#")[0].strip() for line in commands[1].splitlines()] == ["make demo", "make test"]


def test_the_changelog_begins_with_this_version() -> None:
    assert f"\n## {__version__}\n" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize(
    "page", [*sorted(ROOT.glob("docs/*.md")), ROOT / "README.md"], ids=lambda page: page.name
)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_architecture_page_names_every_folder() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    for folder in (ROOT / "gateway").iterdir():
        if folder.is_dir() and (folder / "__init__.py").exists():
            assert f"gateway/{folder.name}" in page, folder.name
