"""Run directories: how one is written, and what every reader of finished runs goes through."""

from __future__ import annotations

import csv
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import DataError, RunnerError, SpecError
from runner.record.secrets import write_kept
from runner.record.untrusted import (
    checked,
    checks,
    is_finite,
    is_mapping,
    is_moment,
    is_text,
    is_text_by_name,
    is_texts,
    is_truth,
    is_whole,
    mapping_of_json,
    mapping_of_yaml,
    read_table,
    with_all,
)

if TYPE_CHECKING:
    import pandas as pd

SWEEPS = Path("outputs/sweeps")  # where sweeps lie by their names
SETTLED = 60.0  # seconds after which a directory that is not held has lost its writer
LOCK = ".held"  # of a directory that is being written, the file that its writer locks
CHECKS = Path("outputs/check")  # where accounts of data lie that was read and not run
REPLICATIONS = Path("outputs/replications")
# what a run says of itself: all say the first, which were there from the first on
ABOUT = checks(
    {
        is_text: ["name", "kind", "fingerprint", "code", "source"],
        is_moment: ["started", "finished"],
        is_texts: ["overrides"],
    }
)
CONVENTIONS = ["errors", "few_clusters", "doubt", "no_influence", "calendar", "sample", "benchmark"]
ABOUT_OF_SOME = checks(
    {
        is_text: ["model", "validation", "commit", "processor", "job", "target", *CONVENTIONS],
        is_texts: ["reading", "leaks", "notes"],
        is_text_by_name: ["chosen", "doubts"],
        is_mapping: ["rows"],
        is_whole: ["horizon"],
        is_truth: ["trains_on_later_rows"],
    }
)
# columns of tables, each with whether its cells are numbers
NUMBERS = ("estimate", "std_error", "t_stat", "p_value", "ci_low", "ci_high")
COLUMNS = {
    "coefficients": dict.fromkeys(["scope", "unit", "term"], False) | dict.fromkeys(NUMBERS, True),
    "quality": dict.fromkeys(["scope", "unit"], False) | dict.fromkeys(["n_obs", "r2"], True),
    "scores": dict.fromkeys(["scope", "unit"], False) | {"n_obs": True},
}
OF_PREDICTIONS = {"date": False, "asset": False, "y": True, "prediction": True}
OF_WEALTH = {"strategy": False, "date": False, "wealth": True}


def called(sweep: Path) -> str:
    """What the directory of a sweep is called by on the command line: its name among the others."""
    if sweep.parent == SWEEPS:
        return sweep.name
    directory = str(sweep)
    if "/" in directory or directory == sweep.name:
        return directory
    return f"./{directory}"


@dataclass(frozen=True)
class RunDirectory:
    """The files of one run by what they hold; each is read when first asked for."""

    path: Path

    @cached_property
    def about(self) -> Mapping[str, Any]:
        """Name, overrides, chosen, kind, source, fingerprint, code, started, reading and more.

        Raises:
            DataError: the file is not as a run writes it, as for all that is read here.
        """
        path = self.path / "run.json"
        return checked(path, mapping_of_json(path), {**ABOUT, **ABOUT_OF_SOME})

    @property
    def chosen(self) -> Mapping[str, str]:
        """The option of each group of the spec; none of runs that did not keep them."""
        return self.about.get("chosen", {})

    @property
    def series(self) -> list[tuple[str, int, float]]:
        """Name, step and value over years and folds; none of runs that did not keep them."""
        path = self.path / "series.csv"
        if not path.exists():
            return []
        with open(path, newline="", encoding="utf-8") as lines:
            reader = csv.DictReader(lines)
            rows = list(reader)
        return [(row["series"], int(row["step"]), float(row["value"])) for row in rows]

    def choose(self, chosen: Mapping[str, str]) -> None:
        """Keep these as the chosen options: other choices can lead to the same spec."""
        chosen_options = dict(chosen)
        about = {**self.about, "chosen": chosen_options}
        text = json.dumps(about, indent=1)
        path = self.path / "run.json"
        write_kept(path, text)

    @property
    def seconds(self) -> float:
        """Seconds that the run took."""
        started = datetime.fromisoformat(self.about["started"])
        finished = datetime.fromisoformat(self.about["finished"])
        return (finished - started).total_seconds()

    @cached_property
    def metrics(self) -> Mapping[str, float]:
        """Flat finite numbers, the same as in MLflow."""
        path = self.path / "metrics.json"
        metrics = mapping_of_json(path)
        return checked(path, metrics, dict.fromkeys(metrics, is_finite))

    @cached_property
    def spec(self) -> Mapping[str, Any]:
        """The resolved spec, plain mappings."""
        return mapping_of_yaml(self.path / "spec.yaml")

    def read(self) -> None:
        """Read all that makes it a run, its tables aside.

        Raises:
            DataError: a file is missing, or not as a run writes it.
        """
        with_all(self.path / "run.json", dict(self.about), ABOUT)
        _ = (self.spec, self.metrics, self.predictions)

    def table(self, name: str) -> pd.DataFrame:
        """A table of the run, bit for bit as written; a unit or term named NA or 0700 stays so.

        Raises:
            DataError: the run has no such table.
        """
        name_of_file = f"{name}.csv"
        path = self.path / name_of_file
        if not path.exists():
            raise DataError(f"{self.path}: no table {name!r}")
        columns = COLUMNS.get(name, {})
        return read_table(path, _csv, columns)

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """Out of sample: date, asset, fold, path, y, prediction, benchmark."""
        path = self.path / "predictions.parquet"
        return read_table(path, _parquet, OF_PREDICTIONS)

    @cached_property
    def contributions(self) -> pd.DataFrame | None:
        """(dates, terms) of `runner.trials.influence`, None where the run has none."""
        return self._if_written("influence.parquet", {})

    @cached_property
    def wealth(self) -> pd.DataFrame | None:
        """Of the strategies of the run: strategy, date, wealth; None where it has none."""
        return self._if_written("wealth.parquet", OF_WEALTH)

    def _if_written(self, name: str, columns: Mapping[str, bool]) -> pd.DataFrame | None:
        path = self.path / name
        return read_table(path, _parquet, columns) if path.exists() else None


def _csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    texts = {"unit": "str", "term": "str"}
    return pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=texts)


def _parquet(path: Path) -> pd.DataFrame:
    import pandas as pd

    return pd.read_parquet(path)


@contextmanager
def whole(directory: Path) -> Iterator[Path]:
    """A directory that takes the name of `directory` when the block is done: whole or absent.

    Raises:
        RunnerError: it cannot be written.
    """
    remove_abandoned(directory.parent)
    unfinished = directory.with_name(f".{directory.name}.{os.getpid()}.unfinished")
    try:
        unfinished.mkdir(parents=True)
        with _held(unfinished):
            yield unfinished
        unfinished.rename(directory)
    except OSError as error:
        problem = error.strerror or error
        raise RunnerError(f"hydra.run.dir: cannot write {str(directory)!r}: {problem}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


@contextmanager
def _held(directory: Path) -> Iterator[None]:
    """The directory is written by a process that lives, as whoever tries the lock finds.

    Raises:
        OSError: another process writes it.
    """
    lock = directory / LOCK
    with open(lock, "wb") as file:  # network file systems lock only what is open for writing
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
        lock.unlink(missing_ok=True)


@contextmanager
def logged_alone(directory: Path) -> Iterator[None]:
    """The run directory is logged by this process, as whoever tries finds; a dead one logs none.

    Raises:
        RunnerError: another process logs it.
    """
    path = directory / "run.json"
    access = os.O_RDWR if os.access(path, os.W_OK) else os.O_RDONLY
    opened = os.open(path, access | os.O_NONBLOCK)  # a pipe is not waited for
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(opened)
        raise RunnerError(f"{directory}: another process logs it; allowed: one at a time") from None
    except OSError:
        pass  # a file system without locks
    try:
        yield
    finally:
        os.close(opened)


def is_being_logged(directory: Path) -> bool:
    """Whether a process that lives logs the run directory at this moment."""
    try:
        with logged_alone(directory):
            return False
    except OSError:
        return False
    except RunnerError:
        return True


def remove_abandoned(folder: Path, settled: float = SETTLED) -> None:
    """Remove the directories that processes left which were killed while they wrote them.

    Args:
        settled: seconds in which a writer that lives holds what it has made.
    """
    for left in folder.glob(".*.unfinished"):
        with suppress(OSError):
            is_old = left.stat().st_mtime <= time.time() - settled
            if is_old and not left.is_symlink():
                with _held(left):
                    shutil.rmtree(left)


def refuse_taken(directory: Path) -> None:
    """Refuse a directory that holds something.

    Raises:
        SpecError: it does, or is a file.
    """
    if not directory.exists():
        return
    if not directory.is_dir() or any(directory.iterdir()):
        path = str(directory)
        raise SpecError(f"hydra.run.dir: {path!r} is not empty; allowed: a new directory")
