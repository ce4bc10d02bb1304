"""Runs in MLflow, and only here. One run is written at its end, in few calls, under a lock where
it is a file.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse
from urllib.request import url2pathname

from runner.errors import DataError, SpecError
from runner.record.identity import short
from runner.record.process import TAG, is_gone, this_process
from runner.record.rundir import RunDirectory, is_being_logged, logged_alone
from runner.record.untrusted import MOST_TABLE, MOST_TEXT
from runner.sinks import view
from runner.sinks.stores.store import Store, in_one_line

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

MOST_PARAMS, MOST_METRICS = 100, 900  # that MLflow takes in one call, together 1,000
LONGEST = (
    5900  # characters of a parameter or note; MLflow cuts parameters at 6,000 and notes at 8,000
)

TAGS = ("kind", "model", "validation", "fingerprint", "code")  # that a run says of itself
SOURCE = "mlflow.source.name"  # the tag of what made a run
OURS = "python -m runner"
PAGE = 200  # runs that are read at a time, some 140 kB each
MOST_PAGES = 10_000
RUN_ID = re.compile("[0-9a-f]{32}")
MOST_FETCHED = 2 * MOST_TABLE  # bytes of all of them
MOST_FILES = 300  # of a run that is fetched: tables of its analyses, and some ten of its own


def log(
    directory: Path, store: Store, tags: Mapping[str, str] = MappingProxyType({}), name: str = ""
) -> str:
    """Log a run directory with everything in it and return the id of the run.

    Args:
        tags: beside those that the run directory gives.
        name: of the run; else its experiment and what the command line changed of it.

    Raises:
        StoreError: the store cannot be read or written; the run directory is untouched.
    """
    written = RunDirectory(directory)
    kept = f"results are kept in {directory}"
    with in_one_line(store, kept), logged_alone(directory), store.locked():
        client = store.client()
        run = client.create_run(
            experiment_id(client, store),
            start_time=_milliseconds(written.about["started"]),
            run_name=name or _name(written.about),
            tags=_tags(written, tags),
        )
        run_id = str(run.info.run_id)
        try:
            folder_of(run)
            _write_files(store, run, written)
            _write(client, run_id, written)
            finished = _milliseconds(written.about["finished"])
            client.set_terminated(run_id, "FINISHED", finished)
        except BaseException:
            with suppress(Exception):  # the first error counts; `sync` takes away what is left
                take_away(client, run_id)
            raise
        return run_id


def log_each(directories: Sequence[Path], store: Store) -> Iterator[tuple[Path, str]]:
    """The run directories with the ids of their runs, each as soon as it is logged.

    Raises:
        DataError: at the end, those that are not as a run writes them, which keep no other from
            being logged. StoreError: the store cannot be written.
    """
    mistakes: list[str] = []
    for directory in directories:
        try:
            yield directory, log(directory, store)
        except DataError as error:
            mistakes += error.mistakes
    if mistakes:
        raise DataError(mistakes)


def folder_of(run: Any) -> Path | None:
    """The folder of this machine that the files of a run go to; None where they go elsewhere.

    Raises:
        OSError: a server names one that is no run's, such as that of somebody's own files.
    """
    address = urlparse(run.info.artifact_uri)
    if address.scheme not in ("", "file"):
        return None
    folder = Path(url2pathname(address.path))
    run_id = str(run.info.run_id)
    of_a_run = RUN_ID.fullmatch(run_id) and folder.parts[-2:] == (run_id, "artifacts")
    if not of_a_run or ".." in folder.parts:
        raise OSError(f"its files would go to {str(folder)!r}; allowed: a folder RUN_ID/artifacts")
    return folder


def take_away(client: MlflowClient, run_id: str) -> None:
    """Take away a run that was not logged whole; its directory has all of it, for `sync`."""
    client.set_terminated(run_id, "KILLED")
    client.delete_run(run_id)


def _write_files(store: Store, run: Any, written: RunDirectory) -> None:
    """The files of one run, where the store said at first: MLflow's client would ask it again."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    repository = get_artifact_repository(run.info.artifact_uri, tracking_uri=store.uri)
    repository.log_artifacts(str(written.path))


def _write(client: MlflowClient, run_id: str, written: RunDirectory) -> None:
    """Parameters, metrics and dataset of one run, in few calls."""
    from mlflow.entities import Metric, Param

    now = _milliseconds(written.about["finished"])
    metrics = [Metric(view.allowed(name), value, now, 0) for name, value in written.metrics.items()]
    metrics += [
        Metric(view.allowed(name), value, now, step) for name, step, value in written.series
    ]
    params = [Param(name, value) for name, value in params_of(written.spec, written.chosen).items()]
    client.log_batch(
        run_id, metrics=metrics[:MOST_METRICS], params=params[:MOST_PARAMS], synchronous=True
    )
    for start in range(MOST_PARAMS, len(params), MOST_PARAMS):
        part = params[start : start + MOST_PARAMS]
        client.log_batch(run_id, params=part, synchronous=True)
    for start in range(MOST_METRICS, len(metrics), MOST_METRICS):
        more = metrics[start : start + MOST_METRICS]
        client.log_batch(run_id, metrics=more, synchronous=True)
    dataset = _dataset(written.about)
    client.log_inputs(run_id, datasets=[dataset])


def log_failure(
    about: Mapping[str, Any], mistakes: Sequence[str], store: Store, tags: Mapping[str, str]
) -> str:
    """Log a job without results as a failed run: its spec, and why. `about` has its name, spec and
    chosen options.
    """
    from mlflow.entities import Param

    with in_one_line(store, "the reason is in the terminal"), store.locked():
        client = store.client()
        note = {"mlflow.note.content": "\n".join(f"- {line}" for line in mistakes)[:LONGEST]}
        told = {**tags, **note, TAG: this_process()}
        run = client.create_run(experiment_id(client, store), run_name=about["name"], tags=told)
        params = [
            Param(name, value) for name, value in params_of(about["spec"], about["chosen"]).items()
        ]
        for start in range(0, len(params), MOST_PARAMS):
            client.log_batch(
                run.info.run_id, params=params[start : start + MOST_PARAMS], synchronous=True
            )
        client.set_terminated(run.info.run_id, "FAILED")
        return str(run.info.run_id)


def fetch(store: Store, run_id: str, directory: Path) -> RunDirectory:
    """The files of a run that make it a run directory, copied into `directory`: spec, numbers and
    tables.

    Raises:
        SpecError: no id of a run. StoreError: there is no such run, or it has no spec.
    """
    if not RUN_ID.fullmatch(run_id):
        raise SpecError(
            f"rerun: given {run_id!r}; allowed: the directory of a run, or the id of a run, "
            "32 digits and letters a to f"
        )
    with in_one_line(store, "nothing was run"), store.locked():
        artifacts = _artifacts_of(store, run_id)
        sizes = {
            item.path: item.file_size or 0
            for item in artifacts.list_artifacts()
            if re.fullmatch(r"\w+\.(csv|json|yaml|parquet)", item.path)
        }
        names = set(sizes)
        if missing := {"spec.yaml", "metrics.json", "run.json", "predictions.parquet"} - names:
            raise OSError(f"run {run_id} has no {', '.join(sorted(missing))}")
        _refuse_large(run_id, sizes)
        fetched = 0
        for name in sorted(names):
            file = directory / name
            artifacts._download_file(name, str(file))  # in this thread, which can give it up
            fetched += file.stat().st_size
            if fetched > MOST_FETCHED:
                raise OSError(f"run {run_id} has more than {MOST_FETCHED:,} bytes")
    return RunDirectory(directory)


def _artifacts_of(store: Store, run_id: str) -> ArtifactRepository:
    """Where the files of a run lie; MLflow's client looks the run up again for each of them."""
    client = store.client()
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    run = client.get_run(run_id)
    return get_artifact_repository(run.info.artifact_uri, tracking_uri=store.uri)


def _refuse_large(run_id: str, sizes: Mapping[str, int]) -> None:
    """Refuse files that no run has written, before they are copied.

    Raises:
        OSError: they are too many, or one is too large.
    """
    if len(sizes) > MOST_FILES:
        raise OSError(f"run {run_id} has {len(sizes):,} files; allowed: {MOST_FILES}")
    for name, size in sizes.items():
        most = MOST_TEXT if name.endswith(("json", "yaml")) else MOST_TABLE
        if size > most:
            raise OSError(f"run {run_id}: {name} has {size:,} bytes; allowed: {most:,}")


def unlogged(store: Store, directories: Sequence[Path]) -> list[Path]:
    """Those of the run directories that no finished run of the store was logged from, found by one
    search, and that no process logs at this moment.
    """
    with in_one_line(store, "nothing was logged"), store.locked():
        client = store.client()
        experiment = experiment_id(client, store)
        logged = _logged_below(client, experiment, {path.parent.absolute() for path in directories})
        missing = [path for path in directories if str(path.absolute()) not in logged]
        return [path for path in missing if not is_being_logged(path)]


def _logged_below(client: MlflowClient, experiment: str, folders: Collection[Path]) -> set[str]:
    """The run directories below these folders that finished runs were logged from.

    Runs logged from elsewhere, such as the jobs of sweeps, are left in the store: a run comes with
    all its metrics.
    """
    if not folders:
        return set()
    below = os.path.commonpath(folders).replace(
        "'", "_"
    )  # in a filter `_` stands for any letter, a quote for none
    where = f"attributes.status = 'FINISHED' and tags.directory LIKE '{below}%'"
    return {run.data.tags["directory"] for run in all_runs(client, experiment, where)}


def is_dead(run: Any, store: Store) -> bool:
    """Whether no process logs the single run that still runs in the store.

    Whoever logs into a store on disk holds its lock, as who asks does; whoever logs to a server
    holds the run directory. One whose directory is not here is dead if its process was one of this
    machine and ended; else it may be logged on another.
    """
    if store.file is not None or is_gone(run.data.tags.get(TAG, "")):
        return True
    directory = Path(run.data.tags.get("directory", ""))
    try:
        started = _milliseconds(RunDirectory(directory).about["started"])
    except (DataError, KeyError):
        return False
    return started == run.info.start_time and not is_being_logged(directory)


def all_runs(client: MlflowClient, experiment: str, wanted: str) -> Iterator[Any]:
    """Every run that is wanted, page by page.

    Raises:
        OSError: the pages do not end.
    """
    token = None
    for _ in range(MOST_PAGES):
        page = client.search_runs([experiment], wanted, max_results=PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return
    raise OSError(f"more than {PAGE * MOST_PAGES:,} runs; allowed: a store with fewer")


def experiment_id(client: MlflowClient, store: Store) -> str:
    """The experiment of the store, made with its artifact location where it is new."""
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(store.experiment)
    if experiment is None:
        # one write to the disk per transaction instead of three, and readers do not lock writers
        # out
        if store.file:
            with closing(sqlite3.connect(store.file)) as database:
                database.execute("pragma journal_mode = wal")
        return str(client.create_experiment(store.experiment, artifact_location=store.artifacts))
    if experiment.lifecycle_stage == "deleted":
        raise MlflowException(
            f"experiment {store.experiment!r} was deleted; restore it or choose another"
        )
    return str(experiment.experiment_id)


def params_of(spec: Mapping[str, Any], chosen: Mapping[str, str]) -> dict[str, str]:
    """The parameters of a run: the settings of its spec, and the chosen option of each group by
    the group's name.
    """
    return {**flat(spec), **chosen}


def flat(node: Any, prefix: str = "") -> dict[str, str]:
    """The spec as parameters: dotted keys, values as text, long ones cut with the count of what is
    missing.

    An empty mapping is none: `features: {}` would take the name of the group, and parameters cannot
    be changed.
    """
    if isinstance(node, Mapping):
        parts = [
            flat(value, f"{prefix}.{key}" if prefix else str(key)) for key, value in node.items()
        ]
        return {key: value for part in parts for key, value in part.items()}
    text = "null" if node is None else str(node)
    if len(text) > LONGEST:
        missing = len(text) - LONGEST
        text = f"{text[:LONGEST]}... ({missing} characters more in spec.yaml)"
    return {prefix: text}


def _name(about: Mapping[str, Any]) -> str:
    """The experiment and what the command line changed of it."""
    told = [
        word
        for word in about["overrides"]
        if not word.startswith(("experiment=", "tracking.", "hydra."))
    ]
    return " ".join([about["name"], *map(short, told)])[:200]


def _tags(written: RunDirectory, more: Mapping[str, str]) -> dict[str, str]:
    about = written.about
    tags = {name: about[name] for name in TAGS}
    sentences = [f"- {sentence}" for sentence in about["reading"]]
    note = "\n".join(sentences)
    commit = about["commit"].removesuffix("-dirty")
    tags |= {
        "directory": str(written.path.absolute()),
        TAG: this_process(),
        SOURCE: OURS,
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": commit,
        "mlflow.loggedArtifacts": '[{"path": "coefficients.json", "type": "table"}]',
        "mlflow.note.content": note[:LONGEST],
        "leaking": "; ".join(about["leaks"]),
        **more,
    }
    return {key: value for key, value in tags.items() if value}


def _dataset(about: Mapping[str, Any]) -> Any:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = about["source"]
    name = source.rpartition("/")[2][:200]
    data = Dataset(name, about["fingerprint"], "local", source, schema=None, profile=None)
    context = InputTag("mlflow.data.context", "panel")
    return DatasetInput(data, [context])


def _milliseconds(moment: str) -> int:
    seconds = datetime.fromisoformat(moment).timestamp()
    return int(seconds * 1000)
