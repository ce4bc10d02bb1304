"""A sweep in MLflow: its parent run and its jobs, and at its end their ranks, names, views and
description.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from runner.record.process import TAG, is_gone, this_process
from runner.sinks import view
from runner.sinks.stores.store import Store, in_one_line
from runner.sinks.tracking import (
    LONGEST,
    OURS,
    SOURCE,
    all_runs,
    experiment_id,
    folder_of,
    is_dead,
    take_away,
)
from runner.sweeps.telling import views as sweep_views
from runner.sweeps.telling.standings import Standing, standings

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from runner.sweeps.comparison.comparison import Comparison

NOTE = "mlflow.note.content"
BESIDE = "side_by_side.json"  # one column a run in the artifact view
# four views each: MLflow lets a person save none from 40 on, so that 19 are left to people
SWEEPS_WITH_VIEWS = 5
ARTIFACTS = [{"path": BESIDE, "type": "table"}, {"path": "coefficients.json", "type": "table"}]


def begin_sweep(store: Store, name: str, tags: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The parent run of the sweep that these tags name, now running, and its finished children by
    the tag `job`.

    Children that a killed process left running, failed ones and second copies are deleted: their
    jobs come again.
    """
    with in_one_line(store, "no job has begun"), store.locked():
        client = store.client()
        experiment = experiment_id(client, store)
        parent = _parent(client, experiment, tags)
        if parent is None:
            parent_tags = {**tags, "role": "sweep", TAG: this_process()}
            parent = client.create_run(experiment, run_name=name, tags=parent_tags)
        else:
            client.set_tag(parent.info.run_id, TAG, this_process())
            client.update_run(parent.info.run_id, status="RUNNING")
        finished: dict[str, str] = {}
        unwanted = []
        for run in _children(client, experiment, tags):
            job = run.data.tags["job"]
            succeeded = run.info.status == "FINISHED"
            if succeeded and job not in finished:
                finished[job] = run.info.run_id
            else:
                unwanted.append(run)
        for run in unwanted:  # not before: the next page would begin as many runs later
            _discard(client, run)
        return str(parent.info.run_id), finished


def discard(store: Store, run_ids: Sequence[str]) -> None:
    """Delete runs whose jobs are no longer those of the sweep; MLflow can restore them."""
    with in_one_line(store, "nothing was deleted"), store.locked():
        client = store.client()
        for run_id in run_ids:
            run = client.get_run(run_id)
            _discard(client, run)


def end_killed(store: Store, killed: Callable[[Collection[str]], Collection[str]]) -> None:
    """End what still runs in the store of processes that were killed.

    What single runs were is in their directories, for `sync`. Of runs that lie elsewhere it is
    known whose process was one of this machine.

    Args:
        killed: says which sweeps of these ids no process conducts.
    """
    with in_one_line(store, "nothing was ended"), store.locked():
        client = store.client()
        experiment = experiment_id(client, store)
        sweep_of = {}
        gone = set()
        for run in list(all_runs(client, experiment, "attributes.status = 'RUNNING'")):
            sweep = run.data.tags.get("sweep.id", "")
            sweep_of[run.info.run_id] = sweep
            if is_gone(run.data.tags.get(TAG, "")):
                gone.add(run.info.run_id)
            is_single = not sweep and run.data.tags.get(SOURCE) == OURS
            if is_single and is_dead(run, store):
                take_away(client, run.info.run_id)
        sweeps = set(sweep_of.values())
        ended = killed(sweeps)
        for run_id, sweep in sweep_of.items():
            if sweep in ended or (sweep and run_id in gone):
                client.set_terminated(run_id, "KILLED")


def end_sweep(store: Store, parent: str, status: str) -> None:
    """End the parent run."""
    with in_one_line(store, "the jobs are logged"), store.locked():
        store.client().set_terminated(parent, status)


def summarise(
    store: Store,
    tags: Mapping[str, str],
    comparison: Comparison,
    sentence: str,
    metrics: Mapping[str, float],
) -> None:
    """Rank, name and colour the jobs of the sweep, save its views, and describe it in its parent
    run.

    Args:
        tags: that every run of the sweep has.
        sentence: what survives the tests of all jobs together.
        metrics: of the sweep as a whole.
    """
    from mlflow.entities import Metric

    files = comparison.plan.directory / "report"
    with in_one_line(store, "the jobs are logged"), store.locked():
        client = store.client()
        experiment = experiment_id(client, store)
        run = _parent(client, experiment, tags)
        if run is None:
            return
        parent = str(run.info.run_id)
        places = standings(comparison)
        links = _presented(client, run, tags, comparison, places)
        leaderboard = links[sweep_views.LEADERBOARD]
        _newest(client, experiment, comparison.plan.name, leaderboard)
        names = {standing.job: standing.name for standing in places}
        curves = (files / "plots").glob("specification_curve_*.png")
        pictures = [f"plots/{path.name}" for path in sorted(curves)]
        answer = sweep_views.headline(comparison, names, leaderboard)
        survives = sweep_views.escaped(sweep_views.shortened(sentence))
        opening = f"{answer} {survives}"
        caveats = [sentence, *comparison.words]
        note = sweep_views.note(opening, links, comparison, pictures, parent, caveats)
        client.set_tag(parent, NOTE, note[:LONGEST])
        now = _milliseconds()
        logged = [Metric(name, value, now, 0) for name, value in metrics.items()]
        client.log_batch(parent, metrics=logged)
        if not files.is_dir():
            return
        folder_of(run)
        for path in sorted(files.iterdir()):
            client.log_artifact(parent, str(path))


def sweep_link(
    store: Store,
    tags: Mapping[str, str],
    comparison: Comparison,
    plugged_in: bool,
    keep: bool = False,
) -> str:
    """The path in the UI that opens the runs page on the jobs of a sweep, best first.

    Args:
        tags: that every run of the sweep has.
        plugged_in: whether the server has our plug-in, which makes the view the person's own.
        keep: leave the person's own view alone, and only preview ours.
    """
    from mlflow import __version__

    with in_one_line(store, "the UI cannot open"), store.locked():
        client = store.client()
        experiment = experiment_id(client, store)
        parent = _parent(client, experiment, tags)
        facets = sweep_views.facets(comparison, tags)
        if parent is None or not view.known(__version__):
            return view.facets_path(experiment, facets)
        places = standings(comparison)
        links = _presented(client, parent, tags, comparison, places)
        _relink(client, parent, links)
        first = f"{tags['sweep.id']}-{sweep_views.FIRST}"
        return _path(experiment, first, plugged_in, keep, facets)


def runs_link(store: Store, plugged_in: bool, keep: bool = False) -> str:
    """The path in the UI that opens the runs of the store, newest first, with the columns that
    they have.
    """
    from mlflow import __version__

    with in_one_line(store, "the UI cannot open"), store.locked():
        client = store.client()
        experiment = experiment_id(client, store)
        recent = client.search_runs([experiment], "attributes.status != 'RUNNING'", max_results=100)
        newest = sweep_views.newest_view(recent)
        if not recent or not view.known(__version__):
            return view.facets_path(experiment, newest.facets)
        _keep(client, experiment, "newest", newest)
        return _path(experiment, "newest", plugged_in, keep, newest.facets)


def run_link(store: Store, run_id: str, plugged_in: bool) -> str:
    """The path in the UI that opens one run.

    Raises:
        StoreError: there is no such run.
    """
    with in_one_line(store, "the UI cannot open"), store.locked():
        run = store.client().get_run(run_id)
    experiment = str(run.info.experiment_id)
    if plugged_in:
        return view.open_path(experiment, run_id)
    return view.run_path(experiment, run_id)


def _path(
    experiment: str, key: str, plugged_in: bool, keep: bool, facets: Mapping[str, Any]
) -> str:
    """The path in the UI that opens the saved view of this key, or the same filter and order."""
    if keep:
        return view.shared_path(experiment, key)
    if plugged_in:
        return view.open_path(experiment, key)
    return view.facets_path(experiment, facets)


def _milliseconds() -> int:
    """The time of now, in milliseconds since 1970."""
    seconds = datetime.now().timestamp()
    return int(seconds * 1000)


def _presented(
    client: MlflowClient,
    parent: Any,
    tags: Mapping[str, str],
    comparison: Comparison,
    places: Sequence[Standing],
) -> dict[str, str]:
    """Bring the runs of the sweep and its saved views up to date; links by what they are called."""
    from mlflow import __version__

    experiment = str(parent.info.experiment_id)
    parent_id = str(parent.info.run_id)
    sweep = tags["sweep.id"]
    metrics = _stand_all(client, _children(client, experiment, tags), places)
    day = _day(parent)
    views = sweep_views.views(comparison, places, tags, day, sorted(metrics))
    if not view.known(__version__):
        facets = sweep_views.facets(comparison, tags)
        return sweep_views.plain_links(experiment, parent_id, facets)
    for kind, saved in views.items():
        _keep(client, experiment, f"{sweep}-{kind}", saved)
    _make_room(client, experiment, sweep)
    return sweep_views.links(experiment, parent_id, sweep, views)


def _stand_all(
    client: MlflowClient, children: Iterable[Any], places: Sequence[Standing]
) -> set[str]:
    """Give every run of a job its standing: a finished one by its key, another by its number.

    The names of the metrics that any of them has. Runs are read page by page, 140 kB each.
    """
    metrics: set[str] = set()
    for place in places:
        metrics.update(place.metrics)
    finished = {place.key: place for place in places if place.table is not None}
    failed = {str(place.job): place for place in places if place.table is None}
    for run in children:
        metrics.update(run.data.metrics)
        tags = run.data.tags
        if run.info.status == "FINISHED":
            standing = finished.get(tags["job"])
        else:
            standing = failed.get(tags["job.number"])
        if standing is not None:
            _stand(client, run, standing)
    return metrics


def _stand(client: MlflowClient, run: Any, standing: Standing) -> None:
    """Give the run the rank, name, colour and texts of its job, as far as it has others."""
    from mlflow.entities import Metric, RunTag

    texts = {view.allowed(name): text for name, text in standing.tags.items()}
    texts["mlflow.runName"] = standing.name
    texts["mlflow.runColor"] = standing.colour
    if standing.table is not None:
        texts["mlflow.loggedArtifacts"] = json.dumps(ARTIFACTS)
    tags = []
    for name, text in texts.items():
        if run.data.tags.get(name) != text:
            tags.append(RunTag(name, text))
    now = _milliseconds()
    metrics = []
    for name, value in standing.metrics.items():
        if run.data.metrics.get(name) != value:
            metrics.append(Metric(name, value, now, 0))
    if not tags and not metrics:
        return
    if standing.table is not None:
        _write(client, run, standing.side_by_side)
    client.log_batch(run.info.run_id, metrics=metrics, tags=tags, synchronous=True)


def _write(client: MlflowClient, run: Any, text: str) -> None:
    """The artifact of the run that is compared side by side; on this disk without asking the store
    where it lies.
    """
    folder = folder_of(run)
    if folder is None:
        client.log_text(run.info.run_id, text, BESIDE)
        return
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / BESIDE
    file.write_text(text, encoding="utf-8")


def _keep(client: MlflowClient, experiment: str, key: str, saved_view: view.View) -> None:
    """Save the view under its key, unless it is there already."""
    name = f"{view.TAG}{key}"
    tags = client.get_experiment(experiment).tags
    kept = tags.get(name)
    if kept is not None and view.same(kept, saved_view):
        return
    text = view.encoded(saved_view, _milliseconds())
    client.set_experiment_tag(experiment, name, text)


def _make_room(client: MlflowClient, experiment: str, shown: str) -> None:
    """Delete the saved views of all but the newest sweeps, and of those whose parent run was
    deleted.

    The description of an older sweep gets links that say filter and order. Views of people have
    other keys than ours.

    Args:
        shown: the id of the sweep that has just ended or is to be opened; it keeps its views.
    """
    parents = {}
    for run in all_runs(client, experiment, "tags.role = 'sweep'"):
        parents[run.data.tags["sweep.id"]] = run
    sweep_of = {}
    for tag in client.get_experiment(experiment).tags:
        if tag.startswith(view.TAG):
            key = tag.removeprefix(view.TAG)
            sweep_of[tag] = view.sweep_of(key)
    with_views = parents.keys() & sweep_of.values()
    alive = sorted(with_views, key=lambda sweep: _ended(parents[sweep]), reverse=True)
    others = [sweep for sweep in alive if sweep != shown]
    newest = [shown, *others][:SWEEPS_WITH_VIEWS]
    for sweep in alive:
        if sweep not in newest:
            _take_views(client, experiment, parents[sweep])
    for tag, owner in sweep_of.items():
        if owner and owner not in newest:
            client.delete_experiment_tag(experiment, tag)


def _take_views(client: MlflowClient, experiment: str, parent: Any) -> None:
    """Give the description of an older sweep links that say filter and order."""
    tags = parent.data.tags
    facets = view.facets_of(tags["sweep.id"])
    links = sweep_views.plain_links(experiment, parent.info.run_id, facets)
    again = sweep_views.again(tags["sweep"])
    _relink(client, parent, links, again)


def _day(parent: Any) -> str:
    """The day that the sweep ended on: today while it runs."""
    if parent.info.status == "RUNNING":
        ended = datetime.now()
    else:
        seconds = _ended(parent) / 1000
        ended = datetime.fromtimestamp(seconds)
    return ended.date().isoformat()


def _ended(run: Any) -> int:
    """When the run ended, in milliseconds since 1970; 0 where it never did."""
    return int(run.info.end_time or 0)


def _relink(client: MlflowClient, parent: Any, links: Mapping[str, str], more: str = "") -> None:
    """Give the description of a parent run these links and what follows them, where it has
    links.
    """
    before = parent.data.tags.get(NOTE, "")
    now = sweep_views.relinked(before, links, more)
    if now != before:
        client.set_tag(parent.info.run_id, NOTE, now)


def _newest(client: MlflowClient, experiment: str, name: str, path: str) -> None:
    """Make the sweep the first line of the description of the experiment."""
    tags = client.get_experiment(experiment).tags
    before = tags.get(NOTE, "")
    link = f"[{sweep_views.escaped(name)}]({path})"
    now = sweep_views.with_newest(before, link)
    if now != before:
        client.set_experiment_tag(experiment, NOTE, now)


def _parent(client: MlflowClient, experiment: str, tags: Mapping[str, str]) -> Any:
    """The parent run of the sweep, None where it has none."""
    parents = f"{_by_id(tags)} and tags.role = 'sweep'"
    runs = client.search_runs([experiment], parents, max_results=1)
    return runs[0] if runs else None


def _children(client: MlflowClient, experiment: str, tags: Mapping[str, str]) -> Any:
    """The runs of the jobs of the sweep."""
    jobs = f"{_by_id(tags)} and tags.role = 'job'"
    return all_runs(client, experiment, jobs)


def _by_id(tags: Mapping[str, str]) -> str:
    """The filter of the runs of a sweep: by its id, since a name may have letters that a filter
    cannot.
    """
    return f"tags.`sweep.id` = '{tags['sweep.id']}'"


def _discard(client: MlflowClient, run: Any) -> None:
    if run.info.status == "RUNNING":
        client.set_terminated(run.info.run_id, "KILLED")
    client.delete_run(run.info.run_id)
