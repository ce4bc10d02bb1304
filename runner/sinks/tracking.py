"""Runs in MLflow, and only here. One run is written at its end, in few calls, under a lock where it is a file."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import RunnerError
from runner.report import Report
from runner.spec import without_secrets
from runner.version import source_commit
from runner.words import reading

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient

LONGEST = 5900  # characters of a parameter or note; MLflow cuts parameters at 6,000 and notes at 8,000


class Store:
    """Where runs are kept: the URI of a tracking store, and the experiment in it."""

    def __init__(self, uri: str | None = None, experiment: str = "factor-runner") -> None:
        self.file = None if uri else Path("outputs/mlflow.db").resolve()
        self.uri = uri or f"sqlite:///{self.file}"
        if self.uri.startswith("sqlite:///"):
            self.file = Path(self.uri.removeprefix("sqlite:///")).resolve()
        self.experiment = experiment

    @property
    def artifacts(self) -> str | None:
        """Where artifacts of a store on disk lie; a server decides for itself."""
        return (self.file.parent / "artifacts").as_uri() if self.file else None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time: simultaneous starts would break a fresh database."""
        if self.file is None:
            yield
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with open(self.file.with_name(f".{self.file.name}.lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def client(self) -> MlflowClient:
        """A client of this store, and of no other; creates the database where there is none."""
        _quiet()
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)


def log(report: Report, directory: Path, store: Store, sweep: str | None) -> str:
    """Log the run with everything in its directory and return its id.

    Raises:
        RunnerError: the store cannot be read or written; the run directory is untouched.
    """
    with _in_one_line(store, f"results are kept in {directory}"), store.locked():
        client = store.client()
        run = client.create_run(
            experiment_id(client, store),
            start_time=_milliseconds(report.started),
            run_name=_name(report),
            tags=_tags(report, directory, sweep),
        )
        _write(client, run.info.run_id, report, directory)
        client.set_terminated(run.info.run_id, "FINISHED")
        return str(run.info.run_id)


def _write(client: MlflowClient, run_id: str, report: Report, directory: Path) -> None:
    """Parameters, metrics, dataset and files of one run, in few calls."""
    from mlflow.entities import Metric, Param

    now = _milliseconds(datetime.now(report.started.tzinfo))
    metrics = [Metric(name, value, now, 0) for name, value in report.metrics.items()]
    params = [Param(name, value) for name, value in flat(report.spec).items()]
    client.log_batch(run_id, metrics=metrics, params=params[:100], synchronous=True)
    for start in range(100, len(params), 100):
        client.log_batch(run_id, params=params[start : start + 100], synchronous=True)
    client.log_inputs(run_id, datasets=[_dataset(report)])
    client.log_artifacts(run_id, str(directory))
    client.log_text(run_id, _comparable(report.fit.coefficients), "coefficients.json")


def _comparable(coefficients: pd.DataFrame) -> str:
    """The table as MLflow's artifact view compares it over runs: rows by their first column, values in the second."""
    several = coefficients["unit"].nunique() > 1
    key = coefficients["unit"] + " " + coefficients["term"] if several else coefficients["term"]
    table = coefficients.drop(columns=["scope", "unit", "term"])
    table.insert(0, "term", key)
    return str(table.to_json(orient="split", index=False, double_precision=15))


def experiment_id(client: MlflowClient, store: Store) -> str:
    """The experiment of the store, made with its artifact location where it is new."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(store.experiment)
    if found is None:
        return str(client.create_experiment(store.experiment, artifact_location=store.artifacts))
    if found.lifecycle_stage == "deleted":
        raise MlflowException(f"experiment {store.experiment!r} was deleted; restore it or choose another")
    return str(found.experiment_id)


def flat(node: Any, prefix: str = "") -> dict[str, str]:
    """The spec as parameters: dotted keys, values as text, long ones cut with the count of what is missing."""
    if isinstance(node, Mapping) and node:
        parts = [flat(value, f"{prefix}.{key}" if prefix else str(key)) for key, value in node.items()]
        return {key: value for part in parts for key, value in part.items()}
    text = "null" if node is None else str(node)
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}... ({len(text) - LONGEST} characters more in spec.yaml)"
    return {prefix: text}


def runs_link(store: Store) -> str:
    """The path in the UI that opens the runs table of the store with the columns that its runs have."""
    from mlflow import __version__

    from runner.sinks import view

    with _in_one_line(store, "the UI cannot open"), store.locked():
        client = store.client()
        experiment = experiment_id(client, store)
        recent = client.search_runs([experiment], max_results=100)
        if not recent or not view.known(__version__):
            return view.runs_path(experiment)
        columns = _columns(recent)
        state = view.view_state(columns, ["model.cov"], ["kind"], "oos/r2" if "oos/r2" in columns else None)
        client.set_experiment_tag(experiment, view.view_tag(state), state)
        return view.runs_path(experiment, state)


def _columns(runs: list[Any]) -> list[str]:
    """Metrics worth a column: scores and fit first, then the coefficients of the latest run."""
    wanted = ["oos/r2", "oos/rmse", "fit/r2", "fit/n_obs"]
    present = {name for run in runs for name in run.data.metrics}
    terms = sorted(name.partition("/")[2] for name in runs[0].data.metrics if name.startswith("coef/"))
    pairs = [f"{what}/{term}" for term in terms for what in ("coef", "tstat")]
    return [name for name in [*wanted, *pairs] if name in present]


def _name(report: Report) -> str:
    """The experiment and what the command line changed of it."""
    told = [word for word in report.overrides if not word.startswith(("experiment=", "tracking.", "hydra."))]
    changed = [word.partition("=")[0].rpartition(".")[2] + "=" + word.partition("=")[2] for word in told]
    return " ".join([report.name, *changed])[:200]


def _of(node: Mapping[str, Any]) -> str:
    """The class that a node names, for people."""
    return str(node["_target_"]).rpartition(".")[2]


def _tags(report: Report, directory: Path, sweep: str | None) -> dict[str, str]:
    tags = {
        "kind": report.kind,
        "model": _of(report.spec["model"]),
        "validation": _of(report.spec["validation"]),
        "fingerprint": report.fingerprint,
        "code": report.code,
        "directory": str(directory.absolute()),
        "mlflow.source.name": "python -m runner",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": source_commit().removesuffix("-dirty"),
        "mlflow.loggedArtifacts": '[{"path": "coefficients.json", "type": "table"}]',
        "mlflow.note.content": "\n".join(f"- {sentence}" for sentence in reading(report))[:LONGEST],
        "sweep": sweep or "",
        "leaking": "; ".join(report.leaks),
    }
    return {key: value for key, value in tags.items() if value}


def _dataset(report: Report) -> Any:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    name = report.source.rpartition("/")[2][:200]
    data = Dataset(name, report.fingerprint, "local", report.source, schema=None, profile=None)
    return DatasetInput(data, [InputTag("mlflow.data.context", "panel")])


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


@contextmanager
def _in_one_line(store: Store, kept: str) -> Iterator[None]:
    """What the store raises, as one line."""
    _quiet()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        reason = str(error).splitlines()[0][:300]
        raise StoreError(without_secrets(f"tracking.uri: {store.uri}: {reason}; {kept}")) from error


def _quiet() -> None:
    """No telemetry, no logging of MLflow's own, no minutes of retries; before MLflow is imported."""
    defaults = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)


class StoreError(RunnerError):
    """The tracking store cannot be read or written."""

    exit_code = 1
