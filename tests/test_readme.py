"""The README: its two commands are those of CI, its links lead somewhere, and it is one page."""

from __future__ import annotations

import re

from pages import PAGES, README, ROOT, commands

TEXT = PAGES[README]
MOST_LINES = 110


def test_the_two_commands_are_those_that_ci_runs() -> None:
    """`.ci/run` takes them from the README, so that they cannot differ."""
    script = (ROOT / ".ci" / "run").read_text()
    for mark in ("run", "test"):
        assert len(commands(f"command: {mark}")) == 1
        assert f"<!-- command: {mark} -->" in TEXT
        assert f'readme_command "{mark}"' in script


def test_every_file_that_the_readme_links_to_exists() -> None:
    for path in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert path.startswith("https://") or (ROOT / path).is_file(), path


def test_it_is_a_page() -> None:
    assert len(TEXT.splitlines()) <= MOST_LINES
