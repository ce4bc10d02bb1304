"""The lock file of the test environment: every package that the project names, at a version it takes."""

from __future__ import annotations

import tomllib

from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


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
