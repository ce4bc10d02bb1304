"""The README: its two commands are those of CI, and what it shows is what a run prints."""

from __future__ import annotations

import re
from pathlib import Path

from pages import PAGES, README, ROOT, commands
from test_docs import shell

TEXT = PAGES[README]
MOST_LINES = 500


def test_the_two_commands_are_those_that_ci_runs() -> None:
    """`.ci/run` takes them from the README, so that they cannot differ."""
    script = (ROOT / ".ci" / "run").read_text()
    for mark in ("run", "test"):
        assert len(commands(f"command: {mark}")) == 1
        assert f"<!-- command: {mark} -->" in TEXT
        assert f'readme_command "{mark}"' in script


def test_what_the_readme_shows_is_what_the_default_run_prints(tmp_path: Path) -> None:
    printed = {
        " ".join(line.split()) for line in shell("python -m runner", tmp_path).stdout.splitlines()
    }
    [shown] = re.findall(r"prints \(shortened\):\n\n```\n(.*?)```", TEXT, flags=re.DOTALL)
    for line in shown.splitlines():
        assert line == "..." or " ".join(line.split()) in printed, line


def test_every_file_that_the_readme_links_to_exists() -> None:
    for path in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert path.startswith("https://") or (ROOT / path).is_file(), path


def test_it_is_a_page() -> None:
    assert len(TEXT.splitlines()) <= MOST_LINES
