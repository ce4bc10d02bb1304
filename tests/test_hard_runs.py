"""Runs that others may have written: `rerun`, `compare` and `load` say in one line what is wrong, soon."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import call_cli

import runner
from runner.errors import DataError
from runner.record.rundir import RunDirectory
from runner.record.untrusted import MOST_TEXT

AT_ONCE = 5.0  # seconds of CPU
SPEC = [
    *["experiment=none", "data=simulated", "data.assets=4", "data.rows=150", "features=market"],
    *["target=forward_return", "audit=off", "report=tables", "validation=walk_forward"],
    *["validation.first=60", "validation.test=30"],
]
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefghijkl", "bcdefghijklm", strict=True)
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 9)}]}}\n"
    for before, name in zip("abcdefghijkl", "bcdefghijklm", strict=True)
)
Change = Callable[[Path], None]


def text(name: str, content: str | bytes) -> Change:
    """The file with other content."""

    def change(run: Path) -> None:
        data = content.encode() if isinstance(content, str) else content
        (run / name).write_bytes(data)

    return change


def about(**values: object) -> Change:
    """run.json with other values; None takes a key away."""

    def change(run: Path) -> None:
        kept = {**json.loads((run / "run.json").read_text()), **values}
        kept = {key: value for key, value in kept.items() if value is not None}
        (run / "run.json").write_text(json.dumps(kept))

    return change


def spec(**values: object) -> Change:
    """spec.yaml with other values, of `data` where the name says so."""

    def change(run: Path) -> None:
        kept = yaml.safe_load((run / "spec.yaml").read_text())
        for name, value in values.items():
            group, _, key = name.partition("__")
            if key:
                kept[group][key] = value
            else:
                kept[group] = value
        (run / "spec.yaml").write_text(yaml.safe_dump(kept))

    return change


def large(name: str) -> Change:
    def change(run: Path) -> None:
        os.truncate(run / name, MOST_TEXT + 1)

    return change


def fifo(name: str) -> Change:
    def change(run: Path) -> None:
        (run / name).unlink()
        os.mkfifo(run / name)

    return change


def absent(name: str) -> Change:
    return lambda run: (run / name).unlink()


OF_ANY_FILE = {
    f"{name} {what}": change(name)
    for name in ("spec.yaml", "run.json", "metrics.json")
    for what, change in {
        "absent": absent,
        "empty": lambda name: text(name, ""),
        "binary": lambda name: text(name, b"\xff\xfe\0\x80"),
        "a list": lambda name: text(name, "[1]"),
        "a text": lambda name: text(name, '"x"'),
        "deep": lambda name: text(name, "[" * 100_000),
        "large": large,
        "a fifo": fifo,
    }.items()
}
FILES = OF_ANY_FILE | {
    "bomb": text("spec.yaml", BOMB),
    "bomb of merges": text("spec.yaml", MERGES),
    "endless": text("spec.yaml", "a: &a {x: *a}\n"),
    "code": text("spec.yaml", "a: !!python/object/apply:os.system ['touch PWNED']\n"),
    "keys that are numbers": text("spec.yaml", "1: 2\n"),
    "keys that are lists": text("spec.yaml", "? [a]\n: b\n"),
    "no code": about(code=None),
    "no overrides": about(overrides=None),
    "overrides a number": about(overrides=3),
    "overrides of numbers": about(overrides=[1]),
    "chosen a list": about(chosen=[1]),
    "chosen nested": about(chosen={"model": {"a": 1}}),
    "started a text": about(started="x"),
    "reading a number": about(reading=3),
    "rows a number": about(rows=True),
    "integer of 10,000 digits": text("run.json", '{"a": ' + "9" * 10_000 + "}"),
    "metric not a number": text("metrics.json", '{"fit/r2": NaN}'),
    "metric infinite": text("metrics.json", '{"fit/r2": Infinity}'),
    "metric a text": text("metrics.json", '{"fit/r2": "x"}'),
    "metric null": text("metrics.json", '{"fit/r2": null}'),
    "metric true": text("metrics.json", '{"fit/r2": true}'),
    "metric a mapping": text("metrics.json", '{"fit/r2": {}}'),
    "metric beyond floats": text("metrics.json", '{"fit/r2": ' + "9" * 400 + "}"),
    "predictions absent": absent("predictions.parquet"),
    "predictions no parquet": text("predictions.parquet", "x"),
}
SPECS = {
    "data null": spec(data=None),
    "data a list": spec(data=[1]),
    "allow a number": spec(allow=3),
    "allow nested": spec(allow=[["os"]]),
    "fields a list": spec(data__fields=[1]),
    "path up": spec(data={"_target_": "runner.data.File", "path": "../x.csv"}),
    "path at home": spec(data={"_target_": "runner.data.File", "path": "~/x.csv"}),
    "path with a zero byte": spec(data={"_target_": "runner.data.File", "path": "a\0b"}),
    "path of an analysis": spec(
        analyses={
            "e": {
                "_target_": "runner.analyses.estimation_error",
                "source": {"_target_": "runner.data.File", "path": "/etc/passwd"},
            }
        }
    ),
    "assets without end": spec(data__assets=2**40),
}


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Path]:
    """A folder with a run and a sweep of it, the id of the run, and the directory of its artifacts."""
    folder = tmp_path_factory.mktemp("logged")
    outcome = call_cli(folder, *SPEC)
    assert outcome.code == 0, outcome.err
    run_id = outcome.out.partition("MLflow run: ")[2].split()[0]
    [artifacts] = folder.glob(f"outputs/artifacts/{run_id}/artifacts")
    return folder, run_id, artifacts


@pytest.mark.parametrize("name", [*FILES, *SPECS])
def test_rerun_of_a_hostile_run_is_one_line(logged, name: str) -> None:
    folder, run_id, artifacts = logged
    kept = artifacts.with_name("kept")
    shutil.copytree(artifacts, kept)
    begun = time.process_time()
    try:
        ({**FILES, **SPECS}[name])(artifacts)
        outcome = call_cli(folder, "rerun", run_id)
    finally:
        shutil.rmtree(artifacts)
        kept.rename(artifacts)
    assert time.process_time() - begun < AT_ONCE
    assert outcome.code in (1, 2)
    assert len(outcome.errors) == len(outcome.err.splitlines()) == 1
    assert outcome.out == ""
    assert not (folder / "PWNED").exists()


@pytest.mark.parametrize("name", FILES)
def test_what_is_read_of_a_hostile_run_is_one_line(logged, tmp_path, name: str) -> None:
    folder, _, _ = logged
    [run] = [path.parent for path in folder.glob("outputs/runs/*/run.json")]
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    FILES[name](copy)
    with pytest.raises(DataError) as caught:
        RunDirectory(copy).read()
    [line] = caught.value.mistakes
    assert "\n" not in line
    assert line.startswith(str(copy))


@pytest.mark.parametrize(
    "content",
    ["", "a,b\n1,2\n", "scope,unit,term\n1\n1,2,3,4,5,6\n", b"\xff\xfe\0\x80", "estimate\nx\n"],
)
def test_table_of_a_hostile_run_is_one_line(logged, tmp_path, content: str | bytes) -> None:
    folder, _, _ = logged
    [run] = [path.parent for path in folder.glob("outputs/runs/*/run.json")]
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    text("coefficients.csv", content)(copy)
    with pytest.raises(DataError, match=r"coefficients\.csv"):
        runner.load(copy).tables["coefficients"]


def test_what_a_run_wrote_is_read_as_it_was(logged) -> None:
    folder, run_id, _ = logged
    outcome = call_cli(folder, "rerun", run_id)
    assert outcome.code == 0, outcome.err
    assert "bit-identical" in outcome.out


def plan(*at: str | int, value: object) -> Change:
    """plan.json with another value at a place; the place is gone where the value is `...`."""

    def change(sweep: Path) -> None:
        kept = json.loads((sweep / "plan.json").read_text())
        *above, last = at
        node = kept
        for key in above:
            node = node[key]
        if value is ...:
            del node[last]
        else:
            node[last] = value
        (sweep / "plan.json").write_text(json.dumps(kept))

    return change


PLANS = {
    "empty": text("plan.json", ""),
    "a list": text("plan.json", "[1]"),
    "deep": text("plan.json", "[" * 100_000),
    "a fifo": fifo("plan.json"),
    "no settings": plan("settings", value=...),
    "settings without end": plan("settings", "retries", value=10**400),
    "a search that is code": plan("settings", "search", value=[1]),
    "no jobs": plan("jobs", value=...),
    "jobs a mapping": plan("jobs", value={"a": 1}),
    "a job elsewhere": plan("jobs", 0, "number", value="../../../elsewhere"),
    "a job of another number": plan("jobs", 0, "number", value=7),
    "a job with more": plan("jobs", 0, "place", value="../elsewhere"),
    "a spec a text": plan("jobs", 0, "spec", value="x"),
    "effects a number": plan("jobs", 0, "spec", "model", "effects", value=True),
    "axes of numbers": plan("axes", value=[1]),
    "tracking with more": plan("tracking", "path", value="x"),
    "other columns": lambda sweep: text("quality.csv", "a,b\n1,2\n")(sweep / "0"),
}


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sweep of two jobs."""
    folder = tmp_path_factory.mktemp("swept")
    place = "hydra.sweep.dir=outputs/sweeps/s"
    outcome = call_cli(folder, "-m", *SPEC, "model.cov=HC0,HC1", place)
    assert outcome.code == 0, outcome.err
    return folder


OF_RESUME = ("a job elsewhere", "a job of another number", "a fifo")  # the others it would run


@pytest.mark.parametrize(
    ("verb", "name"),
    [*(("compare", name) for name in PLANS), *(("resume", name) for name in OF_RESUME)],
)
def test_a_hostile_sweep_is_one_line(swept, tmp_path, verb: str, name: str) -> None:
    sweep = tmp_path / "outputs" / "sweeps" / "s"
    shutil.copytree(swept / "outputs" / "sweeps" / "s", sweep)
    (tmp_path / "elsewhere").mkdir()
    PLANS[name](sweep)
    begun = time.process_time()
    outcome = call_cli(tmp_path, verb, "s")
    assert time.process_time() - begun < AT_ONCE
    assert outcome.code == 2
    assert len(outcome.errors) == len(outcome.err.splitlines()) == 1
    assert "allowed: " in outcome.errors[0]
    assert outcome.out == ""
    assert (tmp_path / "elsewhere").is_dir()


EVIL = """
from pathlib import Path
Path("pwned").touch()
"""


def test_a_sweep_that_others_planned_is_not_resumed_unless_it_is_trusted(swept, tmp_path) -> None:
    sweep = tmp_path / "outputs" / "sweeps" / "s"
    shutil.copytree(swept / "outputs" / "sweeps" / "s", sweep)
    (tmp_path / "evil.py").write_text(EVIL)
    assert call_cli(tmp_path, "resume", "s").code == 0  # it is this user's, wherever it lies
    for number in (0, 1):
        shutil.rmtree(sweep / str(number))
    plan("jobs", 0, "spec", "allow", value=["evil"])(sweep)
    plan("jobs", 0, "spec", "analyses", value={"a": {"_target_": "evil.evil"}})(sweep)
    outcome = call_cli(tmp_path, "resume", "s")
    assert outcome.code == 2
    [line] = outcome.errors
    assert "you did not write its plan.json" in line and "allowed: --trust" in line
    assert not (tmp_path / "pwned").exists()
    assert call_cli(tmp_path, "compare", "s").code == 0
    assert not (tmp_path / "pwned").exists()
    call_cli(tmp_path, "resume", "s", "--trust")
    assert (tmp_path / "pwned").exists()


def test_the_ui_opens_no_store_that_others_named(swept, tmp_path) -> None:
    sweep = tmp_path / "outputs" / "sweeps" / "s"
    shutil.copytree(swept / "outputs" / "sweeps" / "s", sweep)
    plan("tracking", "uri", value="http://127.0.0.1:9")(sweep)
    outcome = call_cli(tmp_path, "ui", "--sweep", "s", "--port", "0")
    assert outcome.code == 2
    assert "its store is 'http://127.0.0.1:9', which others may have named" in outcome.errors[0]


def test_one_hostile_run_does_not_keep_sync_from_the_others(logged, tmp_path) -> None:
    folder, _, _ = logged
    [run, *_] = [path.parent for path in folder.glob("outputs/runs/*/run.json")]
    for name in "abc":
        shutil.copytree(run, tmp_path / "outputs" / "runs" / name)
    text("run.json", "[1]")(tmp_path / "outputs" / "runs" / "b")
    outcome = call_cli(tmp_path, "sync")
    assert outcome.code == 2
    assert len(outcome.errors) == 1
    assert outcome.errors[0].startswith("error: outputs/runs/b/run.json: ")
    assert "2 logged, 0 known before" in outcome.err


def test_links_that_lead_elsewhere_are_elsewhere(logged, tmp_path, monkeypatch) -> None:
    """A folder that others made may have them, where the logged spec names a pattern or a folder."""
    from runner.cli.rerun import _is_below_here

    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.csv").touch()
    assert _is_below_here("mine/*.csv") and _is_below_here("mine") and _is_below_here("absent.csv")
    (tmp_path / "mine" / "theirs").symlink_to("/etc")
    for path in ("mine", "mine/*", "m*/theirs/passwd", "mine/**/passwd", "mine/theirs/passwd"):
        assert not _is_below_here(path), path


@pytest.mark.parametrize("place", ["file:///{home}", "{home}", "file:///{home}/{run}/../artifacts"])
def test_a_server_does_not_say_where_files_of_this_machine_go(
    tmp_path, monkeypatch, place: str
) -> None:
    from mlflow import MlflowClient

    home = tmp_path / "home"
    home.mkdir()
    created = MlflowClient.create_run

    def elsewhere(client, *arguments, **settings):
        run = created(client, *arguments, **settings)
        run.info._artifact_uri = place.format(home=home, run=run.info.run_id)
        return run

    monkeypatch.setattr(MlflowClient, "create_run", elsewhere)
    outcome = call_cli(tmp_path, *SPEC)
    assert outcome.code == 1
    [line] = outcome.errors
    assert "its files would go to" in line and "results are kept in" in line
    assert list(home.iterdir()) == []
