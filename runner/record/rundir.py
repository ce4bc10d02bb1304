"""A run directory that was written: what every reader of finished runs goes through."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

SWEEPS = Path("outputs/sweeps")  # where sweeps lie by their names


@dataclass(frozen=True)
class RunDirectory:
    """The files of one run by what they hold; each is read when first asked for."""

    path: Path

    @cached_property
    def about(self) -> Mapping[str, Any]:
        """What the run was: name, overrides, chosen, kind, source, fingerprint, code, started,
        reading, ...
        """
        return json.loads(self._text("run.json"))

    @property
    def chosen(self) -> Mapping[str, str]:
        """The option of each group that the spec was composed from; none of runs that did not keep
        them.
        """
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
        about = json.dumps({**self.about, "chosen": dict(chosen)}, indent=1)
        (self.path / "run.json").write_text(about, encoding="utf-8")

    @property
    def seconds(self) -> float:
        """That the run took."""
        begun, ended = (
            datetime.fromisoformat(self.about[name]) for name in ("started", "finished")
        )
        return (ended - begun).total_seconds()

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
        """A table of the run, every bit of its numbers as it was written; a unit or term named NA
        or 0700 stays so.

        Raises:
            DataError: the run has no such table.
        """
        import pandas as pd

        try:
            names = {"unit": "str", "term": "str"}
            kept: dict[str, Any] = {"keep_default_na": False, "na_values": [""], "dtype": names}
            return pd.read_csv(self.path / f"{name}.csv", **kept)
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
        try:
            return (self.path / name).read_text(encoding="utf-8")
        except OSError as error:
            raise DataError(f"{self.path}: no run directory: {name}: {error.strerror}") from None
