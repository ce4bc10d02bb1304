"""The lock file of the test environment: every package that the project names, at a version it takes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from runner import __version__


def test_the_lock_has_what_the_project_needs() -> None:
    lines = (ROOT / ".ci" / "lock.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    locked = {canonicalize_name(name): version for name, version in pairs}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        needed += [text for text in extra if not text.startswith("factor-runner")]
    for requirement in map(Requirement, needed):
        version = locked[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), requirement


def test_the_changelog_begins_with_the_version_of_the_package_which_stands_in_one_place() -> None:
    changelog = (ROOT / "runner/docs/changelog.md").read_text()
    newest = re.search(r"^## (\S+?),? ", changelog, re.M)
    assert newest is not None and newest[1] == __version__
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    source = Path(project["tool"]["hatch"]["version"]["path"])
    assert f'__version__ = "{__version__}"' in (ROOT / source).read_text()
