"""The verb `rerun`: a run again from its logged spec, and whether every bit of it is the same.

A spec from a store is untrusted: it may name code of this package only, unless the user allows more
by name, and files below the working directory only, unless the user names them; where results go is
never taken from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from runner.compute.cache import Bench
from runner.data.joins.settings import ROLES
from runner.errors import SpecError
from runner.experiment.spec import build
from runner.record.rundir import RunDirectory
from runner.sinks import terminal, tracking
from runner.sinks.job import compute, family_carried
from runner.sinks.machine import Form

PATHS = ("path", "directory", "snapshot", "folder", "file")  # settings of sources that name files


def rerun(
    run_id: str,
    store: tracking.Store,
    own: Mapping[str, Any],
    directory: Path,
    given: Sequence[str],
    form: Form = "tables",
) -> int:
    """Repeat a run and report what differs; the exit code is 0 only where nothing does.

    Args:
        run_id: of MLflow.
        own: the spec of this command line, whose `tracking`, `ledger` and `allow` are used.
        directory: of the new run.
        given: overrides of this command line; one of `data.` replaces what the logged spec says.
        form: of what is printed.

    Raises:
        RunnerError: the run is not there, or names code or files that it may not.
    """
    with TemporaryDirectory() as folder:
        logged = tracking.fetch(store, run_id, Path(folder))
        spec = _trusted(logged.spec, own, given)
        about = logged.about
        experiment = build(spec, tuple(about.get("overrides", ())), about.get("chosen", {}))
        with terminal.working(f"{experiment.name}: again", form):
            bench = Bench()
            family_carried(experiment, bench)
            compute(experiment, directory, bench)
        written = RunDirectory(directory)
        differences = _differences(logged, written)
        code = [logged.about["code"], written.about["code"]]
        again = tracking.log(directory, store, {"rerun": run_id})
    terminal.show_rerun(run_id, again, directory, differences, code, form)
    return 1 if differences else 0


def _trusted(
    spec: Mapping[str, Any], own: Mapping[str, Any], given: Sequence[str]
) -> dict[str, Any]:
    """The logged spec with our own places, and nothing that the user did not allow.

    Raises:
        SpecError: code or files that are not allowed, one line each.
    """
    allowed = own.get("allow") or []
    refused = [module for module in spec.get("allow") or [] if module not in allowed]
    mistakes = [
        f"allow: the logged spec runs code of {module!r}; "
        f"allowed where you trust it: allow=[{module}]"
        for module in refused
    ]
    data = dict(spec.get("data") or {})
    named = {word.partition("=")[0].lstrip("+") for word in given}
    for key in PATHS:
        if f"data.{key}" in named:
            data[key] = own["data"][key]
        else:
            mistakes += _elsewhere(f"data.{key}", data.get(key))
    for role in ROLES:
        tables = data.get(role)
        if not isinstance(tables, dict):
            continue  # what is no table is refused with the rest of the spec
        for name, table in tables.items():
            where = f"data.{role}.{name}.path"
            if where in named:
                path = own["data"][role][name]["path"]
                data[role] = {**data[role], name: {**table, "path": path}}
            elif isinstance(table, dict):
                mistakes += _elsewhere(where, table.get("path"))
    if mistakes:
        raise SpecError(mistakes)
    return {**spec, "data": data, "tracking": own["tracking"], "ledger": own["ledger"]}


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
    """Whether the path is in the working directory or below it; an address is not."""
    if "://" in path:
        return False
    return Path(path).resolve().is_relative_to(Path.cwd())


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
        if not other.exists():
            lines.append(f"{path.name}: not written now")
        elif path.read_bytes() != other.read_bytes():
            lines.append(f"{path.name}: differs")
    if not logged.predictions.equals(again.predictions):
        lines.append("predictions.parquet: differs")
    return lines


def _digits(value: float | None) -> str:
    """A metric with every digit that it has."""
    return "absent" if value is None else f"{value:.17g}"
