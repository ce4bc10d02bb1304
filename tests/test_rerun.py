"""A run again by its id, and run directories that the store has not seen."""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import call_cli, run_cli
from mlflow.entities import Run
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from test_tracking import FAST, client_of, runs_of, without_series

from runner.experiment.spec import CHOSEN
from runner.record import processor as processor_module
from runner.record.processor import BLAS, COMMON, processor, take_common_digits
from runner.sinks import tracking


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("first")
    outcome = call_cli(
        folder, *FAST, "report=tables", "validation=walk_forward", "validation.first=200"
    )
    assert outcome.code == 0, outcome.err
    return folder, runs_of(folder)[0].info.run_id


def tampered(folder: Path, run_id: str, copy: Path, **changes: object) -> Path:
    """The folder again, the logged spec changed."""
    shutil.copytree(folder, copy)
    for path in copy.rglob(f"{run_id}/artifacts/spec.yaml"):
        spec = yaml.safe_load(path.read_text())
        for key, value in changes.items():
            group, _, name = key.partition("__")
            (spec[group] if name else spec)[name or group] = value
        path.write_text(yaml.safe_dump(spec, sort_keys=False))
    database = copy / "outputs" / "mlflow.db"
    import sqlite3

    with sqlite3.connect(database) as book:
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            book.execute(
                f"update {table} set {column} = replace({column}, ?, ?)", (str(folder), str(copy))
            )
    return copy


def test_rerun_is_bit_identical_and_logged(first) -> None:
    folder, run_id = first
    outcome = call_cli(folder, "rerun", run_id)
    assert outcome.code == 0, outcome.err
    assert f"bit-identical to {run_id}" in outcome.out
    runs = runs_of(folder)
    [again] = [run for run in runs if run.data.tags.get("rerun") == run_id]
    [logged] = [run for run in runs if run.info.run_id == run_id]
    assert again.info.status == "FINISHED"
    assert {group: again.data.params[group] for group in CHOSEN} == {
        "data": "french",
        "features": "ff3",
        "target": "excess_return",
        "model": "ols",
        "validation": "walk_forward",
        "experiment": "ff3",
    }
    assert again.data.params == logged.data.params


@pytest.mark.parametrize("as_path", [True, False])
def test_a_run_is_repeated_from_its_directory(first, as_path) -> None:
    folder, _ = first
    directory = min((folder / "outputs" / "runs").iterdir())
    word = str(directory.relative_to(folder)) if as_path else directory.name
    outcome = call_cli(folder, "rerun", word)
    assert outcome.code == 0, outcome.err
    assert f"bit-identical to {word}" in " ".join(outcome.out.split())
    assert any(run.data.tags.get("rerun") == word for run in runs_of(folder))


def test_files_of_a_run_are_fetched_with_one_look_at_the_store(
    first, tmp_path, monkeypatch
) -> None:
    folder, run_id = first
    looks = []
    get_run = SqlAlchemyStore.get_run

    def counted(store: SqlAlchemyStore, run_id: str) -> Run:
        looks.append(run_id)
        return get_run(store, run_id)

    monkeypatch.setattr(SqlAlchemyStore, "get_run", counted)
    uri = f"sqlite:///{folder}/outputs/mlflow.db"
    tracking.fetch(tracking.Store(uri), run_id, tmp_path)
    assert looks == [run_id]
    run = min(folder.glob("outputs/runs/*"))  # others are reruns of it
    fetched = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    written = {path.name: path.read_bytes() for path in run.iterdir() if path.name in fetched}
    assert fetched == written
    assert {"spec.yaml", "metrics.json", "run.json", "predictions.parquet"} < fetched.keys()


def test_a_rerun_on_another_kind_of_processor_names_both(first, tmp_path) -> None:
    folder, run_id = first
    kind = processor()
    if "openblas" not in kind or platform.machine() != "x86_64":
        pytest.skip(f"another BLAS, which takes no kind from its environment: {kind}")
    other = "Sandybridge" if "openblas Haswell" in kind else "Haswell"
    copy = tampered(folder, run_id, tmp_path / "copy")
    outcome = run_cli(copy, "rerun", run_id, OPENBLAS_CORETYPE=other)
    own = f"processor: {kind} then,"
    assert own in outcome.out and f"openblas {other} now" in outcome.out
    in_one_line = " ".join(outcome.out.split())
    for name, value in COMMON.items():
        assert f"{name}={shlex.quote(value)}" in in_one_line


@pytest.mark.parametrize("own", [{}, {"OPENBLAS_CORETYPE": "Sandybridge"}])
def test_the_command_line_takes_the_common_kind_of_processor(own: dict[str, str]) -> None:
    if "openblas Haswell" not in processor() or "X86_V3" not in processor():
        pytest.skip(f"the common kind is one of x86-64 with AVX2 and OpenBLAS: {processor()}")
    code = "import runner.__main__, runner.record.processor as p; print(p.processor())"
    environment = {name: value for name, value in os.environ.items() if name not in COMMON} | own
    words = [sys.executable, "-c", code]
    found = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    blas = own.get("OPENBLAS_CORETYPE", "Haswell")
    assert found.stdout.strip() == f"numpy X86_V3, openblas {blas}"


@pytest.mark.parametrize(
    ("machine", "flags", "taken"),
    [
        ("x86_64", "fpu fma avx avx2", BLAS),
        ("x86_64", "fpu fma avx avx2 avx512f", COMMON),
        ("x86_64", "fpu avx", {}),
        ("aarch64", "fp asimd", {}),
    ],
)
def test_what_a_processor_has_not_is_not_asked_of_it(
    machine: str,
    flags: str,
    taken: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = tmp_path / "cpuinfo"
    told.write_text(f"processor : 0\nflags : {flags}\n" * 90)
    monkeypatch.setattr(processor_module, "CPUINFO", told)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    environment: dict[str, str] = {}
    take_common_digits(environment)
    assert environment == taken
    asked = {"OPENBLAS_CORETYPE": "Zen"}
    take_common_digits(asked)
    assert asked["OPENBLAS_CORETYPE"] == "Zen", "what the environment says stays"


def test_rerun_tells_what_differs(first, tmp_path) -> None:
    folder, run_id = first
    other = tampered(folder, run_id, tmp_path / "copy", model__cov="HC3")
    outcome = call_cli(other, "rerun", run_id)
    assert outcome.code == 1
    assert f"differs from {run_id}" in outcome.out
    assert "coefficients.csv: differs" in outcome.out
    assert "metric tstat/MktRF" in outcome.out


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"allow": ["os"]}, "allow: the logged spec runs code of 'os'"),
        ({"target___target_": "os.system"}, "'os.system' is code outside this package"),
        (
            {"data": {"_target_": "runner.data.File", "path": "/etc/passwd"}},
            "below this directory",
        ),
        (
            {"data__series": {"f": {"path": "/etc/passwd"}}},
            "data.series.f.path: the logged spec names '/etc/passwd'",
        ),
        (
            {"data__fields": {"f": {"path": "https://example.org/f.csv"}}},
            "data.fields.f.path: the logged spec names 'https://example.org/f.csv'",
        ),
        ({"ledgre": "x"}, "ledgre: 'ledgre' is unknown"),
    ],
)
def test_logged_spec_names_no_code_and_no_files_that_are_not_allowed(
    first, tmp_path, changes, said
) -> None:
    folder, run_id = first
    outcome = call_cli(tampered(folder, run_id, tmp_path / "copy", **changes), "rerun", run_id)
    assert outcome.code == 2
    assert said in outcome.err
    assert "Traceback" not in outcome.err


def test_logged_places_are_not_written_to(first, tmp_path) -> None:
    folder, run_id = first
    elsewhere = tmp_path / "elsewhere.db"
    other = tampered(
        folder,
        run_id,
        tmp_path / "copy",
        ledger=str(elsewhere),
        tracking={"uri": f"sqlite:///{elsewhere}"},
    )
    assert call_cli(other, "rerun", run_id).code == 0
    assert not elsewhere.exists()


@pytest.mark.parametrize(
    ("word", "said"),
    [("../../etc", "the id of a run"), ("0" * 32, "tracking.uri"), ("", "which run")],
)
def test_wrong_id_is_one_line(first, word, said) -> None:
    outcome = call_cli(first[0], "rerun", *[word][: bool(word)])
    assert outcome.code in (1, 2)
    assert len(outcome.errors) == 1
    assert said in outcome.errors[0]


def test_sync_logs_what_the_store_does_not_have(tmp_path) -> None:
    kept = call_cli(tmp_path, *FAST, "report=tables", "tracking.uri=http://127.0.0.1:9")
    assert kept.code == 1
    outcome = call_cli(tmp_path, "sync")
    assert outcome.code == 0, outcome.err
    assert re.search(r"MLflow run [0-9a-f]{32}", outcome.out)
    [run] = runs_of(tmp_path)
    assert without_series(run.data.metrics) == kept.metrics
    assert run.data.params["model"] == "ols" and run.data.params["experiment"] == "ff3"
    assert client_of(tmp_path).get_run(run.info.run_id).info.status == "FINISHED"
    assert "0 logged, 1 known before" in call_cli(tmp_path, "sync").err


def test_what_is_not_logged_is_found_by_one_search(first, tmp_path, monkeypatch) -> None:
    """Whatever the directories are called: a quote, a percent sign and an underscore mean something in a filter."""
    from mlflow import MlflowClient

    folder, _ = first
    [whole] = [path.parent for path in (folder / "outputs" / "runs").glob("*/run.json")][:1]
    names = ["it's", "its", "100%", "1000", "a_b", "acb", "r\u00e9sum\u00e9 <b>", "last"]
    copies = [Path(shutil.copytree(whole, tmp_path / "runs" / name)) for name in names]
    elsewhere = Path(shutil.copytree(whole, tmp_path / "elsewhere" / "last"))
    store = tracking.Store(f"sqlite:///{tmp_path}/mlflow.db")
    for path in [*copies[::2], elsewhere]:
        tracking.log(path, store)
    searched = []
    real = MlflowClient.search_runs

    def counted(self, *arguments, **more):
        page = real(self, *arguments, **more)
        searched.append({run.data.tags["directory"] for run in page})
        return page

    monkeypatch.setattr(MlflowClient, "search_runs", counted)
    assert tracking.unlogged(store, copies) == copies[1::2]
    assert searched == [set(map(str, copies[::2]))]  # and no run from elsewhere is read
    assert tracking.unlogged(store, []) == []
