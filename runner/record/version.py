"""Which code made a result."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from runner import __version__


@cache
def code_version(allow: tuple[str, ...] = ()) -> str:
    """Version of the package and the digest of its sources; the digest of those of the modules that
    the spec allows.

    Not the commit: other commits, and files beside the package, leave results as they are.
    """
    others = f" {' '.join(allow)}.{_digest(map(_place, allow))}" if allow else ""
    return f"{__version__}.{_digest([Path(__file__).parents[1]])}{others}"


@cache
def source_commit() -> str:
    """Commit of the checkout that this package lies in, `-dirty` where files were changed; else
    nothing.
    """
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return ""
    command = [
        "git",
        "-C",
        str(root),
        "describe",
        "--always",
        "--abbrev=40",
        "--dirty",
        "--exclude=*",
    ]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout.strip()


def _place(module: str) -> Path | None:
    """The file of a module, or the directory of a package; None where it has neither."""
    found = find_spec(module)
    places = [Path(one) for one in found.submodule_search_locations or [] if found] if found else []
    return places[0] if places else Path(found.origin) if found and found.origin else None


def _digest(places: Iterable[Path | None]) -> str:
    """Twelve digits of the contents of these files and of the Python files below these
    directories.
    """
    found = sha256()
    for place in places:
        files = (
            sorted(place.rglob("*.py")) if place and place.is_dir() else [place] if place else []
        )
        for file in files:
            found.update(file.name.encode() + b"\0" + file.read_bytes())
    return found.hexdigest()[:12]
