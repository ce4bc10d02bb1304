"""Run directories: how one is written, and what every reader of finished runs goes through."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import DataError, RunnerError, SpecError

if TYPE_CHECKING:
    import pandas as pd

SWEEPS = Path("outputs/sweeps")  # where sweeps lie by their names
CHECKS = Path("outputs/check")  # where accounts of data lie that was read and not run


@dataclass(frozen=True)
class RunDirectory:
    """The files of one run by what they hold; each is read when first asked for."""

    path: Path

    @cached_property
    def about(self) -> Mapping[str, Any]:
        """Name, overrides, chosen, kind, source, fingerprint, code, started, reading and more."""
        return json.loads(self._text("run.json"))

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
            rows = list(csv.DictReader(lines))
        return [(row["series"], int(row["step"]), float(row["value"])) for row in rows]

    def choose(self, chosen: Mapping[str, str]) -> None:
        """Keep these as the chosen options: other choices can lead to the same spec."""
        about = {**self.about, "chosen": dict(chosen)}
        text = json.dumps(about, indent=1)
        (self.path / "run.json").write_text(text, encoding="utf-8")

    @property
    def seconds(self) -> float:
        """Seconds that the run took."""
        started = datetime.fromisoformat(self.about["started"])
        finished = datetime.fromisoformat(self.about["finished"])
        return (finished - started).total_seconds()

    @cached_property
    def metrics(self) -> Mapping[str, float]:
        """Flat finite numbers, the same as in MLflow."""
        return json.loads(self._text("metrics.json"))

    @cached_property
    def spec(self) -> Mapping[str, Any]:
        """The resolved spec, plain mappings."""
        import yaml

        return yaml.load(self._text("spec.yaml"), yaml.CSafeLoader)

    def table(self, name: str) -> pd.DataFrame:
        """A table of the run, bit for bit as written; a unit or term named NA or 0700 stays so.

        Raises:
            DataError: the run has no such table.
        """
        import pandas as pd

        try:
            return pd.read_csv(
                self.path / f"{name}.csv",
                keep_default_na=False,
                na_values=[""],
                dtype={"unit": "str", "term": "str"},
            )
        except FileNotFoundError:
            raise DataError(f"{self.path}: no table {name!r}") from None

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """Out of sample: date, asset, fold, path, y, prediction, benchmark."""
        import pandas as pd

        return pd.read_parquet(self.path / "predictions.parquet")

    @cached_property
    def contributions(self) -> pd.DataFrame | None:
        """(dates, terms) of `runner.trials.influence`, None where the run has none."""
        return self._if_written("influence.parquet")

    @cached_property
    def wealth(self) -> pd.DataFrame | None:
        """Of the strategies of the run: strategy, date, wealth; None where it has none."""
        return self._if_written("wealth.parquet")

    def _if_written(self, name: str) -> pd.DataFrame | None:
        import pandas as pd

        path = self.path / name
        return pd.read_parquet(path) if path.exists() else None

    def _text(self, name: str) -> str:
        file = self.path / name
        try:
            return file.read_text(encoding="utf-8")
        except OSError as error:
            raise DataError(f"{self.path}: no run directory: {name}: {error.strerror}") from None


@contextmanager
def whole(directory: Path) -> Iterator[Path]:
    """A directory that takes the name of `directory` when the block is done: whole or absent.

    Raises:
        RunnerError: it cannot be written.
    """
    unfinished = directory.with_name(f".{directory.name}.{os.getpid()}.unfinished")
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        unfinished.rename(directory)
    except OSError as error:
        problem = error.strerror or error
        raise RunnerError(f"hydra.run.dir: cannot write {str(directory)!r}: {problem}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def refuse_taken(directory: Path) -> None:
    """Refuse a directory that holds something.

    Raises:
        SpecError: it does, or is a file.
    """
    if not directory.exists():
        return
    if not directory.is_dir() or any(directory.iterdir()):
        raise SpecError(f"hydra.run.dir: {str(directory)!r} is not empty; allowed: a new directory")
