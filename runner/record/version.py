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
    """Version of the package with the digest of its sources and of those of allowed modules.

    Not the commit: other commits, and files beside the package, leave results as they are.
    """
    file = Path(__file__)
    package = file.parents[1]
    version = f"{__version__}.{_digest([package])}"
    if not allow:
        return version
    places = [_place(module) for module in allow]
    return f"{version} {' '.join(allow)}.{_digest(places)}"


@cache
def source_commit() -> str:
    """Commit of the checkout of this package, `-dirty` where files were changed; else nothing."""
    file = Path(__file__)
    root = file.parents[2]
    if not (root / ".git").exists():
        return ""
    describe = ["describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    command = ["git", "-C", str(root), *describe]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout.strip()


def _place(module: str) -> Path | None:
    """The file of a module, or the directory of a package; None where it has neither.

    A part of Python itself, and a module that is not there, have none.
    """
    try:
        spec = find_spec(module)
    except ModuleNotFoundError:  # of the package that it would lie in
        return None
    if spec is None:
        return None
    for directory in spec.submodule_search_locations or []:
        return Path(directory)
    return Path(spec.origin) if spec.has_location and spec.origin else None


def _digest(places: Iterable[Path | None]) -> str:
    """Twelve digits of the contents of these files and of the Python files below directories."""
    content = sha256()
    for place in places:
        for file in _source_files(place):
            content.update(file.name.encode() + b"\0" + file.read_bytes())
    return content.hexdigest()[:12]


def _source_files(place: Path | None) -> list[Path]:
    if place is None:
        return []
    if place.is_dir():
        return sorted(place.rglob("*.py"))
    return [place]
