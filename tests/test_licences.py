"""Licences of what the default run loads."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path

from conftest import ROOT

PAGE = ROOT / "runner" / "docs" / "licences.md"
LOADED = """
import sys
from importlib.metadata import packages_distributions
from runner.__main__ import main
assert main(["--quiet", "report=tables"]) == 0
of_packages = packages_distributions()
tops = {name.partition(".")[0] for name in sys.modules}
print(*sorted({dist for top in tops for dist in of_packages.get(top, [])}))
"""


def test_no_package_of_the_default_run_is_under_the_gpl(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LOADED]
    environment = {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    loaded = done.stdout.split()
    assert {"numpy", "pandas", "mlflow", "hydra-core"} <= set(loaded)
    for name in loaded:
        about = metadata(name)
        texts = [about.get("License-Expression") or "", *(about.get_all("Classifier") or [])]
        licences = [text for text in texts if not text.startswith(("Topic", "Programming"))]
        assert not re.search(r"\bA?GPL|Affero|GNU General", " ".join(licences)), name


def test_the_page_lists_what_the_project_asks_for() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name in (
        "numpy",
        "scipy",
        "pandas",
        "pyarrow",
        "mlflow",
        "hydra-core",
        "omegaconf",
        "rich",
        "matplotlib",
    ):
        assert f"| {name} |" in page
