"""One run as Python holds it: tables, numbers, pictures, from memory or from its files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import DataError
from runner.record.rundir import RunDirectory
from runner.session.pictures import Pictures, drawn, written
from runner.sweeps.plan import PLAN

if TYPE_CHECKING:
    import pandas as pd

    from runner.experiment.report import Report as RunReport

CENTRAL = ("oos/r2", "oos/rmse", "fit/r2", "fit/r2_adj", "fit/n_obs")  # numbers of a short account


class Tables(Mapping[str, "pd.DataFrame"]):
    """Tables by name, each read or made when it is first asked for."""

    def __init__(self, names: Sequence[str], table: Callable[[str], pd.DataFrame]) -> None:
        self._names = tuple(names)
        self._table = table
        self._known: dict[str, pd.DataFrame] = {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._known:
            self._known[name] = self._table(name)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        names = ", ".join(self._names)
        return f"Tables({names})"


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """One run.

    Attributes:
        name: of the experiment.
        kind: `predictive` where the target lies after the features, else `explanatory`.
        spec: the resolved spec, plain mappings.
        metrics: name -> number, the same as in MLflow: `oos/r2`, `coef/HML`, `tstat/HML`, ...
        reading: what a careful reader would say of the run, a sentence each.
        tables: name -> DataFrame with the columns of the file of that name.
        figures: name -> picture.
        about: data, fingerprint, standard errors, code and conventions of the run.
        directory: where the run was written; None where it was not.
        run_id: of the run in MLflow; empty where it was not logged.
    """

    name: str
    kind: str
    spec: Mapping[str, Any]
    metrics: Mapping[str, float]
    reading: tuple[str, ...]
    tables: Tables
    figures: Pictures
    about: Mapping[str, Any]
    directory: Path | None = None
    run_id: str = ""
    source: RunReport | None = field(default=None)

    @classmethod
    def of(cls, report: RunReport, directory: Path | None = None, run_id: str = "") -> Report:
        """The run that was made in this session."""
        from runner.sinks import files

        about = files.about(report)
        tables = files.tables(report) | {"predictions": report.predictions}
        return cls(
            name=report.name,
            kind=report.kind,
            spec=report.spec,
            metrics=report.metrics,
            reading=tuple(about["reading"]),  # type: ignore[arg-type]
            tables=Tables(list(tables), tables.__getitem__),
            figures=Pictures(partial(drawn, report)),
            about=about,
            directory=directory,
            run_id=run_id,
            source=report,
        )

    @classmethod
    def read(cls, directory: Path) -> Report:
        """The run that a directory holds.

        Raises:
            DataError: it is no run directory.
        """
        if (directory / PLAN).exists():
            raise DataError(f"{directory}: a sweep; allowed: one of its jobs, {directory}/0")
        files = RunDirectory(directory)
        about = files.about
        names = [path.stem for path in sorted(directory.glob("*.csv"))]

        def table(name: str) -> pd.DataFrame:
            return files.predictions if name == "predictions" else files.table(name)

        return cls(
            name=str(about["name"]),
            kind=str(about["kind"]),
            spec=files.spec,
            metrics=files.metrics,
            reading=tuple(about["reading"]),
            tables=Tables([*names, "predictions"], table),
            figures=Pictures(partial(written, directory)),
            about=about,
            directory=directory,
        )

    @property
    def coefficients(self) -> pd.DataFrame:
        """scope, unit, term, estimate, std_error, t_stat, p_value, ci_low, ci_high."""
        return self.tables["coefficients"]

    @property
    def quality(self) -> pd.DataFrame:
        """Fit in sample, one row per regression: n_obs, r2, r2_adj, f_stat, ..."""
        return self.tables["quality"]

    @property
    def scores(self) -> pd.DataFrame:
        """Scores out of sample, of all forecasts and by asset."""
        return self.tables["scores"]

    @property
    def predictions(self) -> pd.DataFrame:
        """Out of sample: date, asset, fold, path, y, prediction, benchmark."""
        return self.tables["predictions"]

    def save(self, directory: str | Path) -> Path:
        """Write the run directory, page and pictures included, and return its path.

        Raises:
            DataError: the run was read from another directory.
            SpecError: the directory exists.
            RunnerError: it cannot be written.
        """
        from runner.errors import SpecError
        from runner.sinks import job

        place = Path(directory)
        if self.source is None:
            raise DataError(f"{self.directory}: the run has a directory; copy that")
        if place.exists():
            path = str(place)
            raise SpecError(f"save: {path!r} exists; allowed: a new directory")
        job.write(self.source, place, pictures=True)
        return place

    def __repr__(self) -> str:
        from runner.text import number

        numbers = [
            f"{name} {number(self.metrics[name])}" for name in CENTRAL if name in self.metrics
        ]
        return f"<Report {self.name}: {self.kind}, {', '.join(numbers)}>"

    def _repr_html_(self) -> str:
        from runner.session.html import report_html

        return report_html(self.name, self.about, self.metrics, self.coefficients, self.reading)
