"""Which code made a result."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

from runner import __version__


@cache
def code_version() -> str:
    """Version of the package and, from a checkout, its commit; `-dirty` where files were changed since."""
    commit = source_commit()
    return f"{__version__}+{commit}" if commit else __version__


@cache
def source_commit() -> str:
    """Commit of the checkout that this package lies in, or nothing for an installed package."""
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():
        return ""
    command = ["git", "-C", str(root), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout.strip()
