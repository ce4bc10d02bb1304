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
    """Version of the package; from a checkout its commit, and where files were changed since the digest of the
    sources; the digest of the sources of the modules that the spec allows."""
    commit = source_commit()
    changed = f".{_digest([Path(__file__).parent])}" if commit.endswith("-dirty") else ""
    own = f"+{commit}{changed}" if commit else ""
    others = f" {' '.join(allow)}.{_digest(map(_place, allow))}" if allow else ""
    return f"{__version__}{own}{others}"


@cache
def source_commit() -> str:
    """Commit of the checkout that this package lies in, or nothing for an installed package."""
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():
        return ""
    command = ["git", "-C", str(root), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout.strip()


def _place(module: str) -> Path | None:
    """The file of a module, or the directory of a package; None where it has neither."""
    found = find_spec(module)
    places = [Path(one) for one in found.submodule_search_locations or [] if found] if found else []
    return places[0] if places else Path(found.origin) if found and found.origin else None


def _digest(places: Iterable[Path | None]) -> str:
    """Twelve digits of the contents of these files and of the Python files below these directories."""
    found = sha256()
    for place in places:
        files = sorted(place.rglob("*.py")) if place and place.is_dir() else [place] if place else []
        for file in files:
            found.update(file.name.encode() + b"\0" + file.read_bytes())
    return found.hexdigest()[:12]
