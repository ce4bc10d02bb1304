"""The verb `rerun`: a run again from its logged spec, and whether every bit of it came out the
same.

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
from runner.errors import SpecError
from runner.experiment.spec import build
from runner.record.rundir import RunDirectory
from runner.sinks import terminal, tracking
from runner.sinks.job import compute
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
    """Repeat a run and tell what differs; the exit code is 0 only where nothing does.

    Args:
        run_id: of MLflow.
        own: the spec of this command line, whose `tracking`, `ledger` and `allow` are used.
        directory: of the new run.
        given: overrides of this command line; one of `data.` replaces what the logged spec says.
        form: how it is told.

    Raises:
        RunnerError: the run is not there, or names code or files that it may not.
    """
    with TemporaryDirectory() as folder:
        logged = tracking.fetch(store, run_id, Path(folder))
        spec = _trusted(logged.spec, own, given)
        about = logged.about
        experiment = build(spec, tuple(about.get("overrides", ())), about.get("chosen", {}))
        with terminal.working(f"{experiment.name}: again", form):
            compute(experiment, directory, Bench())
        written = RunDirectory(directory)
        differences = _differences(logged, written)
        code = [one.about["code"] for one in (logged, written)]
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
    wanted, allowed = list(spec.get("allow") or []), list(own.get("allow") or [])
    wrong = [
        f"allow: the logged spec runs code of {one!r}; allowed where you trust it: allow=[{one}]"
        for one in wanted
        if one not in allowed
    ]
    data = dict(spec.get("data") or {})
    for key in PATHS:
        if f"data.{key}" in {word.partition("=")[0] for word in given}:
            data[key] = own["data"][key]
        elif isinstance(data.get(key), str) and not Path(data[key]).resolve().is_relative_to(
            Path.cwd()
        ):
            wrong.append(
                f"data.{key}: the logged spec names {data[key]!r}; allowed: below this directory, or data.{key}=..."
            )
    if wrong:
        raise SpecError(wrong)
    places = {key: own[key] for key in ("tracking", "ledger")}
    return {**spec, "data": data, **places}


def _differences(logged: RunDirectory, again: RunDirectory) -> list[str]:
    """What is not the same, in words; nothing where every table and number is equal to the last
    bit.
    """
    found = []
    before, now = logged.about["fingerprint"], again.about["fingerprint"]
    if before != now:
        found.append(f"data: fingerprint {before} then, {now} now")
    for name in sorted({*logged.metrics, *again.metrics}):
        before, now = logged.metrics.get(name), again.metrics.get(name)
        if before != now:
            found.append(f"metric {name}: {_told(before)} then, {_told(now)} now")
    for path in sorted(logged.path.glob("*.csv")):
        other = again.path / path.name
        if not other.exists():
            found.append(f"{path.name}: not written now")
        elif path.read_bytes() != other.read_bytes():
            found.append(f"{path.name}: differs")
    before, now = logged.predictions, again.predictions
    return found if before.equals(now) else [*found, "predictions.parquet: differs"]


def _told(value: float | None) -> str:
    return "absent" if value is None else f"{value:.17g}"
