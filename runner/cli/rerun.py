"""The verb `rerun`: a run again from its logged spec, and whether every bit of it is the same.

A spec from a store is untrusted: it may name code of this package only, unless the user allows more
by name, and files below the working directory only, unless the user names them; where results go is
never taken from it.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from glob import glob
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from runner.compute.cache import Bench
from runner.errors import SpecError, listed
from runner.experiment.nodes import without
from runner.experiment.spec import build
from runner.record.processor import COMMON
from runner.record.rundir import RunDirectory
from runner.record.secrets import missing, places
from runner.sinks import terminal, tracking
from runner.sinks.job import compute, family_carried
from runner.sinks.machine import Form
from runner.sinks.stores.store import Store
from runner.sinks.telling.waiting import working

OF_RERUN = ("tracking", "ledger", "allow", "executor", "hydra")  # what overrides of a rerun may say
PLACES = ("tracking", "ledger", "executor")  # settings of this command line, not of the logged spec
PATHS = ("path", "directory", "snapshot", "folder", "file")  # settings of sources that name files


def rerun(
    run: str,
    store: Store,
    own: Mapping[str, Any],
    directory: Path,
    given: Sequence[str],
    form: Form = "tables",
) -> int:
    """Repeat a run and report what differs; the exit code is 0 only where nothing does.

    Args:
        run: its id in MLflow, its directory, or the name of that beside the new run's.
        own: the spec of this command line, whose `allow` and PLACES are used.
        directory: of the new run.
        given: overrides of this command line; one of `data.` replaces what the logged spec says.
        form: of what is printed.

    Raises:
        RunnerError: the run is not there, or names code or files that it may not.
    """
    with TemporaryDirectory() as folder:
        logged = _in_directory(run, directory.parent)
        if logged is None:
            logged = tracking.fetch(store, run, Path(folder))
        logged.read()  # what is wrong is said before anything is computed
        spec = _trusted(logged.spec, own, given)
        about = logged.about
        experiment = build(spec, tuple(about["overrides"]), logged.chosen)
        with working(f"{experiment.name}: again", form):
            bench = Bench()
            family_carried(experiment, bench)
            compute(experiment, directory, bench)
        written = RunDirectory(directory)
        differences = _differences(logged, written)
        made_by = _made_by(logged, written)
        again = tracking.log(directory, store, {"rerun": run})
    terminal.show_rerun(run, again, directory, differences, made_by, form)
    return 1 if differences else 0


def _in_directory(run: str, runs: Path) -> RunDirectory | None:
    """The run in the directory of this path, or of this name among the runs; None where none is."""
    for place in (Path(run), runs / run):
        if (place / "spec.yaml").is_file():
            return RunDirectory(place)
    return None


def _trusted(
    spec: Mapping[str, Any], own: Mapping[str, Any], given: Sequence[str]
) -> dict[str, Any]:
    """The logged spec with our own places, and nothing that the user did not allow.

    Raises:
        SpecError: code or files that are not allowed, one line each.
    """
    allowed = _names(own.get("allow"))
    mistakes = [
        f"allow: the logged spec runs code of {module!r}; "
        f"allowed where you trust it: allow=[{module}]"
        for module in _names(spec.get("allow"))
        if module not in allowed
    ]
    named = {word.partition("=")[0].lstrip("+") for word in given}
    rest = without(spec, ("name", *PLACES))
    kept = dict(places(rest))
    mistakes += [missing(where, kept[where]) for where in kept if where not in named]
    files = dict(_paths(spec, ""))
    for where, path in files.items():
        if where not in named and where not in kept:
            mistakes += _elsewhere(where, path)
    own_places = named & {*kept, *files}
    for where in sorted(named - own_places):
        if where.partition(".")[0] not in OF_RERUN:
            mistakes.append(
                f"{where}: a rerun repeats the logged spec; allowed: {listed(OF_RERUN)} and "
                f"{listed(sorted({*kept, *files}))} of it"
            )
    if mistakes:
        raise SpecError(mistakes)
    whole = _with_own(spec, own, own_places)
    ours = {name: own[name] for name in PLACES if name in own}
    return {**without(whole, PLACES), **ours}


def _paths(node: Any, where: str) -> Iterator[tuple[str, Any]]:
    """Each setting that names files, at any place of the spec, with what it says."""
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(node, Mapping):
        inner = node.items()
    elif isinstance(node, list):
        inner = enumerate(node)
    for key, value in inner:
        place = f"{where}.{key}" if where else str(key)
        if key in PATHS:
            yield place, value
        yield from _paths(value, place)


def _with_own(logged: Any, own: Any, where_own: Collection[str], where: str = "") -> Any:
    """The logged node, with what this command line has at these places."""
    if where in where_own:
        return own
    if not isinstance(logged, Mapping) or not isinstance(own, Mapping):
        return logged
    node = {}
    for key, value in logged.items():
        place = f"{where}.{key}" if where else str(key)
        node[key] = _with_own(value, own.get(key), where_own, place)
    return node


def _names(value: Any) -> list[str]:
    """The texts of a list; none of what is none, which is refused with the rest of the spec."""
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def _elsewhere(where: str, logged: Any) -> list[str]:
    """The line on paths of a logged spec that are not below the working directory, if any are."""
    paths = logged if isinstance(logged, list) else [logged]
    for path in paths:
        if isinstance(path, str) and not _is_below_here(path):
            return [
                f"{where}: the logged spec names {path!r}; "
                f"allowed: below this directory, or {where}=..."
            ]
    return []


def _is_below_here(path: str) -> bool:
    """Whether the path is in the working directory or below it; an address is not.

    So must be what a pattern matches and what lies in a folder: links may lead elsewhere.
    """
    if "://" in path or "\0" in path:
        return False
    place = Path(path).expanduser()
    files = [place, *map(Path, glob(str(place), recursive=True))]
    for folder in filter(Path.is_dir, list(files)):
        files += folder.rglob("*")
    here = Path.cwd().resolve()
    return all(file.resolve().is_relative_to(here) for file in files)


def _differences(logged: RunDirectory, again: RunDirectory) -> list[str]:
    """A line for each thing that is not the same to the last bit."""
    lines = []
    data_then = logged.about["fingerprint"]
    data_now = again.about["fingerprint"]
    if data_then != data_now:
        lines.append(f"data: fingerprint {data_then} then, {data_now} now")
    for name in sorted({*logged.metrics, *again.metrics}):
        then = logged.metrics.get(name)
        now = again.metrics.get(name)
        if then != now:
            lines.append(f"metric {name}: {_digits(then)} then, {_digits(now)} now")
    for path in sorted(logged.path.glob("*.csv")):
        other = again.path / path.name
        if not other.is_file():
            lines.append(f"{path.name}: not written now")
        elif not path.is_file():
            lines.append(f"{path.name}: no file then")
        elif path.read_bytes() != other.read_bytes():
            lines.append(f"{path.name}: differs")
    if not logged.predictions.equals(again.predictions):
        lines.append("predictions.parquet: differs")
    return lines


def _made_by(logged: RunDirectory, again: RunDirectory) -> list[str]:
    """A line for the code and the kind of processor, where they are others now."""
    lines = []
    for name in ("code", "processor"):
        then = logged.about.get(name)  # runs of earlier versions name no processor
        now = again.about[name]
        if then and then != now:
            lines.append(f"{name}: {then} then, {now} now")
            if name == "processor":
                lines.append(_common_digits())
    return lines


def _common_digits() -> str:
    """How runs of different processors give the same digits."""
    settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in COMMON.items())
    return f"the same digits on every x86-64 processor with AVX2: run both with {settings}"


def _digits(value: float | None) -> str:
    """A metric with every digit that it has."""
    return "absent" if value is None else f"{value:.17g}"
