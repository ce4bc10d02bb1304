"""However a single run ends: nothing runs for ever in the store, nothing is logged twice, nothing is left."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT, call_cli
from mlflow import MlflowClient
from mlflow.entities import ViewType

from runner import progress
from runner.errors import DataError, RunnerError
from runner.record.ledger import Ledger
from runner.record.rundir import SETTLED, logged_alone, whole
from runner.sinks import tracking

SPEC = [
    *["experiment=none", "data=simulated", "data.assets=4", "data.rows=150", "features=market"],
    *["target=forward_return", "audit=off", "report=tables"],
]


def runs(folder: Path) -> list:
    """Every run of the store that was not taken away, the sweeps' parents too."""
    client = MlflowClient(f"sqlite:///{folder}/outputs/mlflow.db")
    experiments = [one.experiment_id for one in client.search_experiments()]
    return list(client.search_runs(experiments, run_view_type=ViewType.ACTIVE_ONLY))


@pytest.mark.parametrize("how", [KeyboardInterrupt, SystemExit, OSError])
def test_a_run_that_is_ended_while_it_is_logged_is_logged_once_by_sync(
    tmp_path, monkeypatch, how
) -> None:
    def ended(*arguments: object) -> None:
        raise how

    monkeypatch.setattr(tracking, "_write", ended)
    outcome = call_cli(tmp_path, *SPEC)
    assert outcome.code in (0, 1, 130)  # SystemExit without a code is 0
    assert runs(tmp_path) == []
    monkeypatch.undo()
    assert "1 logged, 0 known before" in call_cli(tmp_path, "sync").err
    assert "0 logged, 1 known before" in call_cli(tmp_path, "sync").err
    assert [run.info.status for run in runs(tmp_path)] == ["FINISHED"]


@pytest.mark.parametrize("verb", ["run", "rerun"])
def test_a_run_that_was_killed_while_it_was_logged_is_logged_once_by_sync(
    tmp_path, monkeypatch, verb: str
) -> None:
    """What a killed process leaves: a run that still runs, made like every other."""
    words = SPEC
    if verb == "rerun":
        first = call_cli(tmp_path, *SPEC)
        words = ["rerun", first.out.partition("MLflow run: ")[2].split()[0]]
    known = len(runs(tmp_path)) if verb == "rerun" else 0

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tracking, "_write", killed)
    monkeypatch.setattr(tracking, "take_away", killed)
    call_cli(tmp_path, *words)
    monkeypatch.undo()
    assert "RUNNING" in [run.info.status for run in runs(tmp_path)]
    assert f"1 logged, {known} known before" in call_cli(tmp_path, "sync").err
    assert {run.info.status for run in runs(tmp_path)} == {"FINISHED"}
    assert len(runs(tmp_path)) == known + 1


def test_a_run_that_was_killed_while_it_was_logged_to_a_server_is_logged_once(
    tmp_path, monkeypatch
) -> None:
    """A server has no lock: a run that a living process logs stays, as a run of another machine."""
    from runner.sinks.stores import store

    monkeypatch.setattr(store, "file_of", lambda uri: None)
    to_server = f"tracking.uri=sqlite:///{tmp_path}/outputs/mlflow.db"

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tracking, "_write", killed)
        patch.setattr(tracking, "take_away", killed)
        call_cli(tmp_path, *SPEC, to_server)
    [directory] = [path.parent for path in tmp_path.glob("outputs/runs/*/run.json")]
    with logged_alone(directory):
        assert "0 logged, 1 known before" in call_cli(tmp_path, "sync", to_server).err
    assert [run.info.status for run in runs(tmp_path)] == ["RUNNING"]
    elsewhere = directory.rename(tmp_path / "elsewhere")
    assert "0 logged, 0 known before" in call_cli(tmp_path, "sync", to_server).err
    assert [run.info.status for run in runs(tmp_path)] == ["RUNNING"]  # this process lives
    elsewhere.rename(directory)
    assert "1 logged, 0 known before" in call_cli(tmp_path, "sync", to_server).err
    assert [run.info.status for run in runs(tmp_path)] == ["FINISHED"]


@pytest.mark.parametrize("role", ["single", "sweep", "job"])
def test_a_run_on_a_server_whose_directory_is_gone_ends_with_its_process(
    tmp_path, monkeypatch, role: str
) -> None:
    from runner.sinks.stores import store
    from runner.sweeps.telling.tracked import end_killed

    monkeypatch.setattr(store, "file_of", lambda uri: None)
    (tmp_path / "outputs").mkdir()
    server = store.Store(f"sqlite:///{tmp_path}/outputs/mlflow.db")
    client = server.client()
    experiment = client.create_experiment("factor-runner")
    tags = {tracking.SOURCE: tracking.OURS, "directory": str(tmp_path / "gone")}
    if role != "single":
        tags |= {"sweep.id": "elsewhere", "role": role}
    with subprocess.Popen([sys.executable, "-c", PROCESS], **PIPES) as process:
        told = process.stdout.readline().decode().strip()
        for process_told in (told, "", "of another machine 1 1"):
            client.create_run(experiment, tags={**tags, "process": process_told})
        end_killed(server, lambda ids: [])
        assert [run.info.status for run in runs(tmp_path)] == ["RUNNING"] * 3
        process.communicate(b"")
    end_killed(server, lambda ids: [])
    left = [run.info.status for run in runs(tmp_path)]
    assert left == ["RUNNING"] * 2 + ["KILLED"] * (role != "single")


PROCESS = """
import sys
from runner.record.process import this_process
print(this_process(), flush=True)
sys.stdin.read()
"""
PIPES = {
    "env": {**os.environ, "PYTHONPATH": str(ROOT)},
    "stdin": subprocess.PIPE,
    "stdout": subprocess.PIPE,
}
LEAVE = """
import os, signal, sys
from pathlib import Path
from runner.record.rundir import whole
with whole(Path(sys.argv[1])) as unfinished:
    (unfinished / "table.csv").write_text("half")
    print("half", flush=True)
    if sys.argv[2] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdin.read()
"""


def test_what_a_killed_writer_left_goes_and_what_another_writes_stays(tmp_path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", LEAVE]
    dead = subprocess.run([*command, str(tmp_path / "dead"), "die"], env=env, check=False)
    assert dead.returncode == -signal.SIGKILL
    with subprocess.Popen(
        [*command, str(tmp_path / "slow"), "wait"],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as slow:
        assert slow.stdout.readline() == b"half\n"
        left = sorted(tmp_path.glob(".*.unfinished"))
        assert len(left) == 2
        with whole(tmp_path / "early"):
            pass
        assert sorted(tmp_path.glob(".*.unfinished")) == left  # both are fresh
        old = time.time() - SETTLED - 1
        for path in left:
            os.utime(path, (old, old))
        with whole(tmp_path / "late"):
            pass
        assert [path.name.split(".")[1] for path in tmp_path.glob(".*.unfinished")] == ["slow"]
        slow.communicate(b"")
    assert (tmp_path / "slow" / "table.csv").read_text() == "half"


@pytest.mark.parametrize("order", [["finished", "failed"], ["failed", "finished"]])
def test_of_several_runs_into_one_directory_the_winner_is_finished(tmp_path, order) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    for _ in order:
        ledger.begin({("key", "place"): "family"}, "begun")
    for status in order:
        ledger.end("key", "place", status, 1.0)
    assert ledger.count("family").finished == 1


def test_runs_into_one_directory_are_one_finished_trial(tmp_path, monkeypatch) -> None:
    """The second begins before the first is done, and finds the directory taken when it is done."""
    from runner.sinks import job

    first = job.compute

    def with_another(experiment: object, directory: Path, bench: object) -> object:
        monkeypatch.setattr(job, "compute", first)
        with pytest.raises(RunnerError, match="cannot write"), whole(directory):
            job._counted(experiment, directory)
        return first(experiment, directory, bench)

    monkeypatch.setattr(job, "compute", with_another)
    call_cli(tmp_path, *SPEC, "hydra.run.dir=here")
    with sqlite3.connect(tmp_path / "outputs" / "ledger.db") as book:
        assert book.execute("select status from trials").fetchall() == [("finished",)]
    assert (tmp_path / "here" / "run.json").is_file()


@pytest.mark.parametrize(
    ("word", "status", "trials"),
    [("+features.other=nothing_of_that_name", "refused", 0), ("data.rows=160", "finished", 1)],
)
def test_a_spec_that_looked_at_no_outcome_is_no_trial(
    tmp_path: Path, word: str, status: str, trials: int
) -> None:
    call_cli(tmp_path, *SPEC, word)
    path = tmp_path / "outputs" / "ledger.db"
    with sqlite3.connect(path) as book:
        [(family, found)] = book.execute("select family, status from trials").fetchall()
    assert found == status
    assert Ledger(path).count(family).trials == trials


def test_a_run_that_died_after_its_panel_was_made_is_a_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise DataError("the fit failed")

    monkeypatch.setattr("runner.experiment.run.forecasts_of", broken)
    call_cli(tmp_path, *SPEC)
    with sqlite3.connect(tmp_path / "outputs" / "ledger.db") as book:
        assert book.execute("select status from trials").fetchall() == [("failed",)]


def test_an_empty_ledger_is_no_new_one(tmp_path) -> None:
    (tmp_path / "ledger.db").touch()
    with pytest.raises(DataError, match=r"ledger: .* is empty: the trials that it had are lost"):
        Ledger(tmp_path / "ledger.db").begin({("key", "place"): "family"})
    assert (tmp_path / "ledger.db").stat().st_size == 0
    outcome = call_cli(tmp_path, *SPEC, "ledger=ledger.db")
    assert (outcome.code, len(outcome.errors)) == (2, 1)
    assert not list((tmp_path / "outputs").glob("runs/*"))


BEGIN = """
import sys
from pathlib import Path
from runner.record.ledger import Ledger
sys.stdin.readline()
Ledger(Path(sys.argv[1])).begin({(sys.argv[2], "place"): "family"}, "begun")
"""


def test_simultaneous_first_trials_make_one_ledger(tmp_path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    begun = [
        subprocess.Popen(
            [sys.executable, "-c", BEGIN, str(tmp_path / "ledger.db"), str(number)],
            env=env,
            stdin=subprocess.PIPE,
        )
        for number in range(4)
    ]
    for process in begun:
        process.communicate(b"\n")
    assert [process.returncode for process in begun] == [0] * 4
    assert Ledger(tmp_path / "ledger.db").count("family").abandoned == 4
    with sqlite3.connect(tmp_path / "ledger.db") as book:
        assert book.execute("select count(*) from trials").fetchone() == (4,)
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.db"]


@pytest.mark.parametrize(
    ("how", "code", "status"), [(KeyboardInterrupt, 130, "KILLED"), (OSError, 1, "FAILED")]
)
def test_a_sweep_that_ends_early_says_how_far_it_is_and_what_goes_on(
    tmp_path, monkeypatch, how: type[BaseException], code: int, status: str
) -> None:
    log = tracking.log
    logged: list[object] = []

    def fails_second(*arguments: object) -> str:
        if logged:
            raise how(28, "No space left on device")
        logged.append(arguments)
        return log(*arguments)

    monkeypatch.setattr(tracking, "log", fails_second)
    words = ["-m", *SPEC, "model.cov=HC0,HC1,HC2", "hydra.sweep.dir=outputs/sweeps/s"]
    outcome = call_cli(tmp_path, *words)
    assert outcome.code == code
    assert "sweep s ended early: 2 of 3 jobs done, 1 of them logged" in outcome.err
    assert "`python -m runner resume s` goes on" in outcome.err
    [line] = outcome.errors
    assert line in ("error: interrupted", "error: No space left on device")
    monkeypatch.undo()
    [parent] = [run for run in runs(tmp_path) if run.data.tags["role"] == "sweep"]
    assert parent.info.status == status
    assert call_cli(tmp_path, "resume", "s").code == 0
    assert {run.info.status for run in runs(tmp_path)} == {"FINISHED"}
    assert len(runs(tmp_path)) == 4


def test_a_comparison_that_cannot_be_written_is_still_printed(tmp_path, monkeypatch) -> None:
    from runner.sweeps.telling import page

    words = ["-m", *SPEC, "model.cov=HC0,HC1", "hydra.sweep.dir=outputs/sweeps/s"]
    assert call_cli(tmp_path, *words).code == 0

    def read_only(*arguments: object) -> None:
        raise OSError(30, "Read-only file system", "x")

    monkeypatch.setattr(page, "write", read_only)
    outcome = call_cli(tmp_path, "compare", "s")
    assert outcome.code != 0
    assert "Leaderboard by" in outcome.out
    [line] = outcome.errors
    assert line == "error: sweep s: cannot write 'outputs/sweeps/s/report': Read-only file system"


def test_who_waits_for_a_run_without_a_terminal_hears_of_it(monkeypatch, capsys) -> None:
    from runner.sinks.telling import waiting

    monkeypatch.setattr(progress, "TOLD", 0.05)
    monkeypatch.setattr(progress, "AGAIN", 0.1)
    for form in ("quiet", "tables"):
        with waiting.working("long: fitting", form):
            time.sleep(0.4)
    lines = capsys.readouterr().err.splitlines()
    assert set(lines) == {"long: fitting: under way for 0 s"}
    assert len(lines) >= 2  # again and again


def test_of_waits_within_each_other_the_innermost_is_told_and_none_in_silence(
    monkeypatch, capsys
) -> None:
    monkeypatch.setattr(progress, "TOLD", 0.1)
    with progress.telling(lambda seconds: "outer"):
        with progress.telling(lambda seconds: "inner"):
            time.sleep(0.25)
        with progress.telling(None):
            time.sleep(0.1)
    with progress.silent(), progress.telling(lambda seconds: "silent"):
        time.sleep(0.2)
    assert capsys.readouterr().err == "inner\n"


@pytest.mark.parametrize("words", [[], ["--quiet"]])
def test_every_long_verb_is_told_unless_it_is_quiet(tmp_path, monkeypatch, words) -> None:
    monkeypatch.setattr(progress, "TOLD", 0.01)
    outcome = call_cli(tmp_path, *SPEC, *words)
    assert outcome.code == 0
    assert bool(outcome.err) == (not words)


def test_runs_that_are_taken_away_shift_no_page_of_those_that_are_read(
    tmp_path, monkeypatch
) -> None:
    words = ["-m", *SPEC, "model.cov=HC0,HC1,HC2,HC3", "hydra.sweep.dir=outputs/sweeps/s"]
    assert call_cli(tmp_path, *words).code == 0
    jobs = [run for run in runs(tmp_path) if run.data.tags["role"] == "job"]
    client = MlflowClient(f"sqlite:///{tmp_path}/outputs/mlflow.db")
    kept = {jobs[1].info.run_id, jobs[3].info.run_id}
    for run in (jobs[0], jobs[2]):
        client.set_terminated(run.info.run_id, "FAILED")
    monkeypatch.setattr(tracking, "PAGE", 1)
    assert call_cli(tmp_path, "resume", "s").code == 0
    after = [run for run in runs(tmp_path) if run.data.tags["role"] == "job"]
    assert {run.info.status for run in after} == {"FINISHED"}
    assert len({run.data.tags["job"] for run in after}) == len(after) == 4
    assert kept < {run.info.run_id for run in after}


def test_a_sweep_that_is_done_leaves_nothing_of_a_killed_worker(tmp_path) -> None:
    """The retry of the job may have ended before the conductor was killed too."""
    words = ["-m", *SPEC, "model.cov=HC0,HC1", "hydra.sweep.dir=outputs/sweeps/s"]
    assert call_cli(tmp_path, *words).code == 0
    sweep = tmp_path / "outputs" / "sweeps" / "s"
    (sweep / ".1.999999.unfinished").mkdir()
    (sweep / ".1.999999.unfinished" / "table.csv").write_text("half")
    assert call_cli(tmp_path, "resume", "s").code == 0
    assert not list(sweep.glob(".*.unfinished"))
