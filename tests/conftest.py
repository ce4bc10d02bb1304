"""What the tests share: the real data beside the checkout, and the command line as a user would call it."""

from __future__ import annotations

from runner import __main__  # before numpy: BLAS takes one thread, as in a run

# isort: split
import gc
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from io import StringIO
from multiprocessing import forkserver
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from composing import composed_once

from runner.numerics.compiled import rule
from runner.sinks.tracking import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared" / "data"
STOCKS = SHARED / "us_tech_etf_daily_2017_2025.parquet"
WIDTH = "120"  # of the terminal, in columns


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too")
    parser.addoption(
        "--compiled",
        action="store_true",
        help="sum panels and windows of any size by runner.numerics.compiled",
    )


def pytest_configure(config: pytest.Config) -> None:
    gc.set_threshold(__main__.GC_THRESHOLD)
    if config.getoption("--compiled"):
        rule.MANY = 0
        rule.MANY_ROWS = 0
        rule.MANY_IN_WINDOWS = 0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--slow"):
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="slow: run with --slow"))


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: the collector need not look through it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def one_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """MLflow takes 2 s of CPU to make a database: it makes one a session, and the others are copies.

    Processes that a test starts make their own, as a user's do.
    """
    made = tmp_path_factory.mktemp("database") / "mlflow.db"
    opened = Store.client

    def client(store: Store) -> MlflowClient:
        if store.file is not None and not store.file.exists() and store.file.parent.is_dir():
            if not made.exists():
                opened(Store(f"sqlite:///{made}"))
                know_the_revision()
            copied = store.file.with_name(f".{store.file.name}.copied")
            shutil.copyfile(made, copied)
            copied.rename(store.file)
        return opened(store)

    def know_the_revision() -> None:
        """MLflow reads all of its migrations for each database: here once a session."""
        from mlflow.store.db import utils

        revision = cache(utils._get_latest_schema_revision)
        patch.setattr(utils, "_get_latest_schema_revision", revision)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "client", client)
        yield


@pytest.fixture(scope="session", autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The secret that files of the cache are signed with lies in no home of a person."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session", autouse=True)
def forks_end() -> Iterator[None]:
    """The server that starting.py forks processes from ends with the session, its CPU counted with ours."""
    yield
    forkserver._forkserver._stop()


@pytest.fixture(scope="session", autouse=True)
def specs_share_files() -> Iterator[None]:
    """Hydra takes .2 s of CPU to compose a spec: most of it once a session."""
    with composed_once():
        yield


@pytest.fixture(scope="module", params=["numpy", "compiled"])
def summed_by(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each way to sum moments in turn, whatever the size of the panel."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rule, "MANY", 0 if request.param == "compiled" else 2**62)
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


def outcome_in(folder: Path, code: int, out: str, err: str) -> Outcome:
    """What a call left: its exit code, its words and the newest run directory below the folder."""
    runs = sorted((folder / "outputs" / "runs").glob("[!.]*"), key=lambda path: path.name)
    newest = runs[-1] if runs else None
    return Outcome(code, out, err, newest)


def run_cli(folder: Path, *words: str, **environment: str) -> Outcome:
    """Start `python -m runner` in a folder of its own, as a user would: some 4 s of CPU a start."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": WIDTH, **environment}
    command = [sys.executable, "-m", "runner", *words]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    return outcome_in(folder, done.returncode, done.stdout, done.stderr)


def call_cli(folder: Path, *words: str) -> Outcome:
    """The same in this process, which has its imports already: cwd, environment and modules are put back."""
    from runner.__main__ import main

    out, err = StringIO(), StringIO()
    with isolated(folder), redirect_stdout(out), redirect_stderr(err):
        try:
            code = main(list(words))
        except SystemExit as end:  # argparse answers --help of a verb so
            code = int(end.code or 0)
    return outcome_in(folder, code, out.getvalue(), err.getvalue())


@contextmanager
def isolated(folder: Path) -> Iterator[None]:
    """Work in a folder as a fresh process would; what the block changed of this process is undone."""
    modules = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        patch.setenv("COLUMNS", WIDTH)
        before = dict(os.environ)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
            for name in set(sys.modules) - modules:
                origin = getattr(sys.modules[name], "__file__", None) or ""
                if origin.startswith(str(folder)):
                    del sys.modules[name]


@pytest.fixture
def cli(tmp_path: Path):
    """`cli("model.cov=HC3")` calls the command line in an empty folder and gives what came of it.

    With variables of the environment it is started as a process, else called in this one.
    """

    def call(*words: str, **environment: str) -> Outcome:
        if environment:
            return run_cli(tmp_path, *words, **environment)
        return call_cli(tmp_path, *words)

    return call
