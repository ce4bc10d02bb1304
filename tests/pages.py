"""The pages that users read, README and `runner/docs`, and the code blocks in them by their marks.

A comment above a block, `<!-- commands: offline -->`, says how it is tested; readers do not see it.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from conftest import Outcome, call_cli

ROOT = Path(__file__).parent.parent
README = "README.md"
PATHS = [ROOT / README, *sorted((ROOT / "runner/docs").glob("*.md"))]
PAGES = {path.name: path.read_text(encoding="utf-8") for path in PATHS}
BLOCK = re.compile(r"(?:^<!-- (.*?) -->\n)?^```(\w*)\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)


def blocks(mark: str) -> list[str]:
    """The code blocks of all pages that a comment marks so."""
    return [
        text for page in PAGES.values() for marked, _, text in BLOCK.findall(page) if marked == mark
    ]


def commands(mark: str) -> list[str]:
    """The commands of these blocks, a line each, without what is said of them."""
    return [command for block in blocks(mark) for command in commands_of(block)]


def commands_of(block: str) -> list[str]:
    """The commands of a block, those on several lines as one; comments are beside or above them."""
    lines = [line.split("   #")[0].strip() for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def called(command: str, folder: Path, *beside: str) -> Outcome:
    """The command in this process, cut as a shell would; pipes and variables would show as words.

    Args:
        beside: further words, such as overrides that make it cheap.
    """
    python, *words = shlex.split(command)
    assert [python, *words[:2]] == ["python", "-m", "runner"]
    return call_cli(folder, *words[2:], *beside)


def printed() -> list[tuple[str, str]]:
    """Commands and what a page shows of what they print, lines of dots for what is left out."""
    marked = [found for page in PAGES.values() for found in BLOCK.findall(page)]
    start = "printed by: "
    return [(mark.removeprefix(start), text) for mark, _, text in marked if mark.startswith(start)]
