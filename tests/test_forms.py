"""How what came out is told: tables for people, one JSON object for programs, nothing where it was asked for."""

from __future__ import annotations

import json
import os
import pty
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from runner.__main__ import main
from runner.cli.composition import Composer
from runner.experiment.run import run
from runner.progress import tracked
from runner.sinks import machine, terminal
from runner.sinks.telling import waiting
from runner.sweeps.telling.progress import Progress

SMALL = ["data.start=1990-01-01", "data.assets=[S1V1,S3V3]", "audit=off", "report=tables"]


def without_waiting(err: str) -> str:
    """What was said on stderr, but for what a slow machine says after ten seconds."""
    return "".join(line for line in err.splitlines(keepends=True) if " 10 s" not in line)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def only_object(text: str) -> dict:
    """The one line of JSON, whose numbers are all finite."""
    assert text.count("\n") == 1 and text.endswith("\n")
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_a_run_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--json"]) == 0
    out, err = capsys.readouterr()
    found, directory = only_object(out), next(Path("outputs/runs").glob("[!.]*"))
    assert without_waiting(err) == "" and Path(found["directory"]) == directory
    assert found["name"] == "ff3" and found["kind"] == "explanatory" and len(found["run_id"]) == 32
    assert found["metrics"] == json.loads((directory / "metrics.json").read_text())
    about = json.loads((directory / "run.json").read_text())
    assert found["reading"] == about["reading"] and found["leaks"] == about["leaks"] == []
    table = pd.read_csv(directory / "coefficients.csv", float_precision="round_trip")
    pd.testing.assert_frame_equal(pd.DataFrame(found["coefficients"]), table, check_dtype=False)


def test_a_number_that_is_not_there_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "model=lasso", "model.penalty=0.001", "--json"]) == 0
    rows = only_object(capsys.readouterr().out)["coefficients"]
    assert {row["p_value"] for row in rows if row["scope"] == "asset"} == {None}
    odd = {
        "a": np.nan,
        "b": np.inf,
        "c": pd.NaT,
        "d": pd.Timestamp("2020-01-02"),
        "e": np.int64(3),
        "f": np.bool_(True),
    }
    said = json.loads(machine.text({"rows": pd.DataFrame([odd]), "none": None, "text": "–"}))
    assert said == {"rows": [{"a": None, "b": None, "c": None, "d": "2020-01-02T00:00:00", "e": 3, "f": True}],
                    "none": None, "text": "–"}  # fmt: skip


def test_a_quiet_run_says_nothing_and_a_wrong_one_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main([*SMALL, "model.cov=HC9", "--quiet"]) == 2
    out, err = capsys.readouterr()
    assert (
        out == "" and err.startswith("error: model.cov: 'HC9' is unknown") and err.count("\n") == 1
    )


def test_a_sweep_is_one_object_and_its_failures_are_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [
        "-m",
        *SMALL,
        "model.cov=HC0,HC1",
        "data.end=2016-12-31,1990-06-30",
        "executor=inline",
    ]
    assert main([*words, "--json"]) == 1
    out, err = capsys.readouterr()
    found = only_object(out)
    assert found["kind"] == "sweep" and found["name"] == Path(found["directory"]).name
    assert found["counts"] == {"jobs": 4, "finished": 2, "failed": 2, "refused": 0, "not_run": 0}
    board = pd.read_csv(Path(found["report"]) / "leaderboard.csv")
    assert [row["job"] for row in found["leaderboard"]] == list(board["job"])
    assert len(found["failures"]) == 2 and "tests" in found["verdict"]
    assert "error: job " in err and "2 of 4 jobs finished" in err
    assert main(["resume", found["name"], "--quiet"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and [line.startswith("error: job ") for line in err.splitlines()] == [
        True,
        True,
    ]
    assert main(["compare", found["name"], "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main(["compare", "--json"]) == 0
    again = only_object(capsys.readouterr().out)
    assert again["leaderboard"] == found["leaderboard"] and again["verdict"] == found["verdict"]


def test_a_job_that_its_data_refuse_is_counted_apart(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["-m", *SMALL, "+features.more=SMB*HML,nosuch", "executor=inline"]
    assert main([*words, "--json"]) == 1
    out, err = capsys.readouterr()
    found = only_object(out)
    counts = {"jobs": 2, "finished": 1, "failed": 0, "refused": 1, "not_run": 0}
    assert found["counts"] == counts
    assert [row["outcome"] for row in found["failures"]] == ["refused"]
    assert "refused: job 1 (+features.more=nosuch): features.more: 'nosuch' is unknown" in err
    [place] = Path("outputs/sweeps").iterdir()
    kept = json.loads((place / ".state" / "1.failed").read_text())
    assert kept["outcome"] == "refused"
    with sqlite3.connect("outputs/ledger.db") as book:
        outcomes = book.execute("select status from trials order by status").fetchall()
    assert outcomes == [("finished",), ("refused",)]


def test_a_rerun_and_an_audit_are_objects(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--json"]) == 0
    run_id = only_object(capsys.readouterr().out)["run_id"]
    assert main(["rerun", run_id, "--json"]) == 0
    out, err = capsys.readouterr()
    found = only_object(out)
    assert found["identical"] is True and found["rerun"] == run_id != found["run_id"]
    assert without_waiting(err) == ""
    assert main(["audit", *SMALL, "--json"]) == 0
    found = only_object(capsys.readouterr().out)
    assert found["leaks"] == [] and {row["verdict"] for row in found["audit"]} == {"clean"}
    assert main(["audit", *SMALL, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["compare"], "sweep: none in 'outputs/sweeps'"),
        (["resume"], "resume: which sweep?"),
        (["resume", "--json"], "resume: which sweep?"),
        (["resume", "nosuch"], "sweep: no plan.json in"),
        (["rerun"], "rerun: which run?"),
        (
            ["rerun", "abc"],
            "rerun: given 'abc'; allowed: the directory of a run, or the id of a run",
        ),
        (["rerun", "tracking.uri=x"], "rerun: which run?"),
        (["ui", "--sweep", "nosuch"], "sweep: no plan.json in"),
        (["--json", "--quiet"], "argument --quiet: not allowed with argument --json"),
        (["--nosuch"], "unrecognized arguments: --nosuch"),
        (["cache", "--json"], "unrecognized arguments: --json"),
    ],
)
def test_a_mistake_is_one_line(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith(f"error: {expected}"), err


def runner(*words: str, **options: object) -> subprocess.Popen[bytes]:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-m", "runner", *words], env=env, **options)  # type: ignore[call-overload]


@pytest.mark.parametrize("words", [["--help"], SMALL], ids=["help", "run"])
def test_a_reader_who_leaves_is_no_traceback(words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = runner(*words, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    err = done.communicate()[1].decode()
    assert without_waiting(err) == "" and done.returncode == 141


@pytest.mark.parametrize("quiet", [False, True])
def test_work_under_way_is_shown_on_a_terminal_only(quiet: bool) -> None:
    screen, end = pty.openpty()
    done = runner(*SMALL, *["--quiet"] * quiet, stdout=subprocess.DEVNULL, stderr=end)
    os.close(end)
    seen = b""
    while True:
        try:
            part = os.read(screen, 4096)
        except OSError:  # Linux: the other end is closed
            break
        if not part:
            break
        seen += part
    assert done.wait() == 0
    assert (b"ff3: reading, fitting, writing" in seen) != quiet
    assert not quiet or seen == b""


def test_the_time_left_is_told_after_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(waiting.time, "monotonic", lambda: now[0])
    pace = waiting.Pace("x")
    assert pace.told("folds", 1, 10) == "x: 1 of 10 folds"
    now[0] += 2.0
    assert pace.told("folds", 2, 10) == "x: 2 of 10 folds"
    now[0] += 2.0
    assert pace.told("folds", 3, 10) == "x: 3 of 10 folds, 30 a minute, about 14 s left"
    assert pace.told("rows", 1, 4) == "x: 1 of 4 rows", "another work has a pace of its own"
    now[0] += 400.0
    assert pace.told("rows", 2, 4) == "x: 2 of 4 rows, 9 an hour, about 13 min left"
    assert pace.told("rows", 1, 4) == "x: 1 of 4 rows", "begun again"
    now[0] += 3.0
    assert pace.told("rows", 4, 4) == "x: 4 of 4 rows, 1 a second"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which the test moves on."""
    now = [100.0]
    monkeypatch.setattr(waiting.time, "monotonic", lambda: now[0])
    return now


def test_a_log_has_a_line_each_tenth_of_long_work(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with waiting.working("x: fitting"):
        for _ in tracked(range(200), "folds"):
            clock[0] += 1.0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[0] == "x: fitting: 20 of 200 folds, 1 a second, about 3 min left"
    assert lines[-1] == "x: fitting: 200 of 200 folds, 1 a second"


@pytest.mark.parametrize(("seconds", "form"), [(0.01, "tables"), (1.0, "quiet")])
def test_a_log_has_no_line_of_short_work_nor_where_it_is_quiet(
    seconds: float, form: machine.Form, clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with waiting.working("x: fitting", form):
        for _ in tracked(range(200), "folds"):
            clock[0] += seconds
    assert capsys.readouterr().err == ""


def test_a_sweep_says_how_far_it_is_in_a_log(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    job = SimpleNamespace(number=1, differs=("a=1",))
    with Progress("grid") as progress:
        progress.plan(jobs=40, done=20, taken=0, same=0, typical=None)
        for _ in range(20):
            clock[0] += 30.0
            progress.finished(job)
    lines = [line for line in capsys.readouterr().err.splitlines() if "a minute" in line]
    assert len(lines) == 5  # half of the jobs were done before
    assert lines[0] == "sweep grid: 24 of 40 jobs, 2 a minute, about 8 min left"
    assert lines[-1] == "sweep grid: 40 of 40 jobs, 2 a minute"


COMPLETED = {
    "model=": {"model=ols", "model=pooled"},
    "model=pooled model.co": {"model.cov=", "model.constant="},
    "-m experiment=ff": {"experiment=ff3"},
}


def test_keys_and_options_are_completed_in_bash(folder: Path) -> None:
    command = f"{sys.executable} -m runner"
    script = f'eval "$({command} -sc install=bash)"'
    for line in COMPLETED:
        script += (
            f'; COMP_LINE="{command} {line}"; COMP_POINT=${{#COMP_LINE}}; '
            '_factor_runner; echo "${COMPREPLY[*]}"'
        )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", script], env=env, cwd=folder, capture_output=True, text=True, check=True
    )
    answers = done.stdout.splitlines()
    for answer, expected in zip(answers, COMPLETED.values(), strict=True):
        assert expected <= set(answer.split()), done.stdout + done.stderr


def test_a_table_of_many_terms_ends_and_says_where_the_rest_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = run(Composer().job([*SMALL, "validation=none"]).experiment)
    one = report.fit.coefficients[report.fit.coefficients["scope"] != "mean"].head(1)
    table = pd.concat([one.assign(term=f"x{k}") for k in range(45)], ignore_index=True)
    terminal.show(replace(report, fit=replace(report.fit, coefficients=table)), Path("out"), "")
    said = capsys.readouterr().out
    assert "5 more rows in out/coefficients.csv" in said
    assert [f"x{k}" in said.split() for k in (0, 39, 40, 44)] == [True, True, False, False]
