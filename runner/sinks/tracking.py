"""Runs in MLflow, and only here. One run is written at its end, in few calls, under a lock where it is a file."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from runner.errors import RunnerError, SpecError
from runner.identity import short
from runner.rundir import RunDirectory
from runner.spec import without_secrets

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from runner.sweeps.comparison import Comparison

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

        _without_waiting()
        if self.file is not None and not self.file.exists():  # whole or not at all: MLflow cannot mend half of one
            fresh = self.file.with_name(f".{self.file.name}.new")
            for rest in (fresh, fresh.with_name(f"{fresh.name}-journal")):
                rest.unlink(missing_ok=True)
            MlflowClient(tracking_uri=f"sqlite:///{fresh}").search_experiments(max_results=1)
            fresh.rename(self.file)
        return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)


def log(directory: Path, store: Store, tags: Mapping[str, str] = MappingProxyType({}), name: str = "") -> str:
    """Log a run directory with everything in it and return the id of the run.

    Args:
        tags: beside those that the run directory gives.
        name: of the run; else its experiment and what the command line changed of it.

    Raises:
        StoreError: the store cannot be read or written; the run directory is untouched.
    """
    written = RunDirectory(directory)
    with _in_one_line(store, f"results are kept in {directory}"), store.locked():
        client = store.client()
        run = client.create_run(
            experiment_id(client, store),
            start_time=_milliseconds(written.about["started"]),
            run_name=name or _name(written.about),
            tags=_tags(written, tags),
        )
        _write(client, run.info.run_id, written)
        client.set_terminated(run.info.run_id, "FINISHED", _milliseconds(written.about["finished"]))
        return str(run.info.run_id)


def _write(client: MlflowClient, run_id: str, written: RunDirectory) -> None:
    """Parameters, metrics, dataset and files of one run, in few calls."""
    from mlflow.entities import Metric, Param

    now = _milliseconds(written.about["finished"])
    metrics = [Metric(_allowed(name), value, now, 0) for name, value in written.metrics.items()]
    params = [Param(name, value) for name, value in params_of(written.spec, written.chosen).items()]
    client.log_batch(run_id, metrics=metrics, params=params[:100], synchronous=True)
    for start in range(100, len(params), 100):
        client.log_batch(run_id, params=params[start : start + 100], synchronous=True)
    client.log_inputs(run_id, datasets=[_dataset(written.about)])
    client.log_artifacts(run_id, str(written.path))


def _allowed(name: str) -> str:
    """The name of a metric with an underscore for what MLflow allows in none, as in `coef/sector:Oil & Gas`."""
    return re.sub(r"[^\w\-. :/]", "_", name, flags=re.ASCII)


def log_failure(about: Mapping[str, Any], mistakes: Sequence[str], store: Store, tags: Mapping[str, str]) -> str:
    """Log a job without results as a failed run: its spec, and why. `about` has its name, spec and chosen options."""
    from mlflow.entities import Param

    with _in_one_line(store, "the reason is in the terminal"), store.locked():
        client = store.client()
        note = {"mlflow.note.content": "\n".join(f"- {line}" for line in mistakes)[:LONGEST]}
        run = client.create_run(experiment_id(client, store), run_name=about["name"], tags={**tags, **note})
        params = [Param(name, value) for name, value in params_of(about["spec"], about["chosen"]).items()]
        for start in range(0, len(params), 100):
            client.log_batch(run.info.run_id, params=params[start : start + 100], synchronous=True)
        client.set_terminated(run.info.run_id, "FAILED")
        return str(run.info.run_id)


def begin_sweep(store: Store, name: str, tags: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The parent run of the sweep that these tags name, now running, and its finished children by the tag `job`.

    Children that a killed process left running, failed ones and second copies are deleted: their jobs come again.
    """
    named = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
    with _in_one_line(store, "no job has begun"), store.locked():
        client = store.client()
        experiment = experiment_id(client, store)
        parents = client.search_runs([experiment], f"{named} and tags.role = 'sweep'")
        if parents:
            parent = parents[0].info.run_id
            client.update_run(parent, status="RUNNING")
        else:
            parent = client.create_run(experiment, run_name=name, tags={**tags, "role": "sweep"}).info.run_id
        finished: dict[str, str] = {}
        for run in _all_runs(client, experiment, f"{named} and tags.role = 'job'"):
            if run.info.status == "FINISHED" and run.data.tags["job"] not in finished:
                finished[run.data.tags["job"]] = run.info.run_id
            else:
                _discard(client, run)
        return parent, finished


def discard(store: Store, run_ids: Sequence[str]) -> None:
    """Delete runs whose jobs are no longer those of the sweep; MLflow can restore them."""
    with _in_one_line(store, "nothing was deleted"), store.locked():
        client = store.client()
        for run_id in run_ids:
            _discard(client, client.get_run(run_id))


def end_killed(store: Store, killed: Callable[[Collection[str]], Collection[str]]) -> None:
    """End what still runs in the store of sweeps whose process was killed: `killed` says of which of these ids."""
    with _in_one_line(store, "nothing was ended"), store.locked():
        client = store.client()
        runs = list(_all_runs(client, experiment_id(client, store), "attributes.status = 'RUNNING'"))
        sweep_of = {run.info.run_id: run.data.tags.get("sweep.id", "") for run in runs}
        ended = killed(set(sweep_of.values()))
        for run_id in (one for one, sweep in sweep_of.items() if sweep in ended):
            client.set_terminated(run_id, "KILLED")


def end_sweep(store: Store, parent: str, status: str, note: str, metrics: Mapping[str, float], files: Path) -> None:
    """End the parent run with what all jobs say together; `files` is a directory of artifacts."""
    from mlflow.entities import Metric

    with _in_one_line(store, "the jobs are logged"), store.locked():
        client = store.client()
        client.set_tag(parent, "mlflow.note.content", note[:LONGEST])
        now = int(datetime.now().timestamp() * 1000)
        client.log_batch(parent, metrics=[Metric(name, value, now, 0) for name, value in metrics.items()])
        for path in sorted(files.iterdir()) if files.is_dir() else []:
            client.log_artifact(parent, str(path))
        client.set_terminated(parent, status)


def fetch(store: Store, run_id: str, directory: Path) -> RunDirectory:
    """The files of a run that make it a run directory, copied into `directory`: spec, numbers and tables.

    Raises:
        SpecError: no id of a run. StoreError: there is no such run, or it has no spec.
    """
    if not re.fullmatch("[0-9a-f]{32}", run_id):
        raise SpecError(f"rerun: given {run_id!r}; allowed: the id of a run, 32 digits and letters a to f")
    with _in_one_line(store, "nothing was run"), store.locked():
        client = store.client()
        names = {
            item.path
            for item in client.list_artifacts(run_id)
            if re.fullmatch(r"\w+\.(csv|json|yaml|parquet)", item.path)
        }
        if missing := {"spec.yaml", "metrics.json", "run.json", "predictions.parquet"} - names:
            raise OSError(f"run {run_id} has no {', '.join(sorted(missing))}")
        for name in sorted(names):
            client.download_artifacts(run_id, name, str(directory))
    return RunDirectory(directory)


def logged_directories(store: Store) -> set[str]:
    """Run directories that finished runs of the store were logged from."""
    with _in_one_line(store, "nothing was logged"), store.locked():
        client = store.client()
        runs = _all_runs(client, experiment_id(client, store), "attributes.status = 'FINISHED'")
        return {run.data.tags["directory"] for run in runs if "directory" in run.data.tags}


def _discard(client: MlflowClient, run: Any) -> None:
    if run.info.status == "RUNNING":
        client.set_terminated(run.info.run_id, "KILLED")
    client.delete_run(run.info.run_id)


def _all_runs(client: MlflowClient, experiment: str, wanted: str) -> Iterator[Any]:
    """Every run that is wanted, page by page."""
    token = None
    while True:
        page = client.search_runs([experiment], wanted, max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def experiment_id(client: MlflowClient, store: Store) -> str:
    """The experiment of the store, made with its artifact location where it is new."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(store.experiment)
    if found is None:
        if store.file:  # one write to the disk per transaction instead of three, and readers do not lock writers out
            with closing(sqlite3.connect(store.file)) as database:
                database.execute("pragma journal_mode = wal")
        return str(client.create_experiment(store.experiment, artifact_location=store.artifacts))
    if found.lifecycle_stage == "deleted":
        raise MlflowException(f"experiment {store.experiment!r} was deleted; restore it or choose another")
    return str(found.experiment_id)


def params_of(spec: Mapping[str, Any], chosen: Mapping[str, str]) -> dict[str, str]:
    """The parameters of a run: the settings of its spec, and the chosen option of each group by the group's name."""
    return {**flat(spec), **chosen}


def flat(node: Any, prefix: str = "") -> dict[str, str]:
    """The spec as parameters: dotted keys, values as text, long ones cut with the count of what is missing.

    An empty mapping is none: `features: {}` would take the name of the group, and parameters cannot be changed.
    """
    if isinstance(node, Mapping):
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


def sweep_link(store: Store, tags: Mapping[str, str], found: Comparison) -> str:
    """The path in the UI that opens the runs table on the jobs of a sweep, best score first: the settings that
    differ, the score, the fit and the coefficients.

    Args:
        tags: that every run of the sweep has, as given to `log`.
    """
    from mlflow import __version__

    from runner.sinks import view

    with _in_one_line(store, "the UI cannot open"), store.locked():
        client = store.client()
        experiment = experiment_id(client, store)
        if not view.known(__version__):
            return view.runs_path(experiment)
        named = [f"tags.`{key}` = '{value}'" for key, value in tags.items() if "'" not in value]
        where = " and ".join([*named, "tags.role = 'job'"])
        jobs = client.search_runs([experiment], where, max_results=100)
        metrics = list(dict.fromkeys([*filter(None, [found.score]), *(_columns(jobs) if jobs else [])]))
        order = found.score or None
        state = view.view_state(metrics, found.params, [], order, where, found.lower_is_better)
        client.set_experiment_tag(experiment, view.view_tag(state), state)
        return view.runs_path(experiment, state)


def _columns(runs: list[Any]) -> list[str]:
    """Metrics worth a column: scores and fit first, then the coefficients of the run with most of them."""
    wanted = ["oos/r2", "oos/rmse", "fit/r2", "fit/n_obs"]
    present = {name for run in runs for name in run.data.metrics}
    largest = max(runs, key=lambda run: sum(name.startswith("coef/") for name in run.data.metrics))
    terms = sorted(name.partition("/")[2] for name in largest.data.metrics if name.startswith("coef/"))
    pairs = [f"{what}/{term}" for term in terms for what in ("coef", "tstat")]
    return [name for name in [*wanted, *pairs] if name in present]


def _name(about: Mapping[str, Any]) -> str:
    """The experiment and what the command line changed of it."""
    told = [word for word in about["overrides"] if not word.startswith(("experiment=", "tracking.", "hydra."))]
    return " ".join([about["name"], *map(short, told)])[:200]


def _tags(written: RunDirectory, more: Mapping[str, str]) -> dict[str, str]:
    about = written.about
    tags = {name: about[name] for name in ("kind", "model", "validation", "fingerprint", "code")} | {
        "directory": str(written.path.absolute()),
        "mlflow.source.name": "python -m runner",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": about["commit"].removesuffix("-dirty"),
        "mlflow.loggedArtifacts": '[{"path": "coefficients.json", "type": "table"}]',
        "mlflow.note.content": "\n".join(f"- {sentence}" for sentence in about["reading"])[:LONGEST],
        "leaking": "; ".join(about["leaks"]),
        **more,
    }
    return {key: value for key, value in tags.items() if value}


def _dataset(about: Mapping[str, Any]) -> Any:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    name = about["source"].rpartition("/")[2][:200]
    data = Dataset(name, about["fingerprint"], "local", about["source"], schema=None, profile=None)
    return DatasetInput(data, [InputTag("mlflow.data.context", "panel")])


def _milliseconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp() * 1000)


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


@cache
def _without_waiting() -> None:
    """No commit of SQLite waits for the disk, as writing a run directory does not: a process that is killed loses
    nothing, and what a power cut takes of the last runs, `resume` and `sync` log again."""
    from sqlalchemy import Engine, event

    def opened(connection: Any, record: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("pragma synchronous = normal")

    event.listen(Engine, "connect", opened)


def _quiet() -> None:
    """No telemetry, no logging of MLflow's own, no minutes of retries; before MLflow is imported."""
    defaults = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
    defaults["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)


class StoreError(RunnerError):
    """The tracking store cannot be read or written."""

    exit_code = 1
