"""What the tests share: the real data beside the checkout, and the command line as a user would call it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from runner import kernel

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared" / "data"
STOCKS = SHARED / "us_tech_etf_daily_2017_2025.parquet"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too")
    parser.addoption("--compiled", action="store_true", help="sum panels of any size by runner.kernel; needs numba")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--compiled"):
        if kernel._numba() is None:
            raise pytest.UsageError("--compiled: numba is not installed")
        kernel.MANY = 0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--slow"):
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="slow: run with --slow"))


@pytest.fixture(scope="module", params=["numpy", "compiled"])
def summed_by(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each way to sum moments in turn, whatever the size of the panel."""
    if request.param == "compiled":
        pytest.importorskip("numba", reason="the extra `compiled` is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "MANY", 0 if request.param == "compiled" else 2**62)
        yield request.param


@pytest.fixture
def stocks() -> Path:
    """The daily snapshot of US stocks, which lies beside the checkout and not in it."""
    if not STOCKS.exists():
        pytest.skip(f"no {STOCKS}: the real data is not part of the project")
    return STOCKS


@dataclass
class Outcome:
    """What one call of the command line did."""

    code: int
    out: str
    err: str
    directory: Path | None

    @property
    def errors(self) -> list[str]:
        return [line for line in self.err.splitlines() if line.startswith("error: ")]

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_csv(self.directory / f"{name}.csv")

    @property
    def metrics(self) -> dict[str, float]:
        return json.loads((self.directory / "metrics.json").read_text())


def run_cli(folder: Path, *words: str, **environment: str) -> Outcome:
    """Call `python -m runner` in a folder of its own."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120", **environment}
    command = [sys.executable, "-m", "runner", *words]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    runs = sorted((folder / "outputs" / "runs").glob("[!.]*"), key=lambda path: path.name)
    return Outcome(done.returncode, done.stdout, done.stderr, runs[-1] if runs else None)


@pytest.fixture
def cli(tmp_path: Path):
    """`cli("model.cov=HC3")` runs the command line in an empty folder and gives what came of it."""
    return lambda *words, **environment: run_cli(tmp_path, *words, **environment)
