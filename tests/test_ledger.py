"""The ledger: each spec counts once, whatever became of it and whoever wrote it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, call_cli

from runner.errors import DataError
from runner.record.ledger import Count, Ledger, marker


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.db")


def place(tmp_path: Path, name: str, *, begun: bool = False, whole: bool = False) -> str:
    """A run directory, of a job that has begun or not, written or not."""
    where = tmp_path / "sweep" / name
    if begun:
        marker(where).parent.mkdir(parents=True, exist_ok=True)
        marker(where).touch()
    if whole:
        where.mkdir(parents=True)
        (where / "run.json").write_text("{}")
    return str(where)


def test_finished_failed_and_abandoned_count_and_what_never_began_does_not(
    ledger: Ledger, tmp_path: Path
) -> None:
    places = {
        key: place(tmp_path, key, begun=key != "never") for key in ("good", "bad", "lost", "never")
    }
    ledger.begin(dict.fromkeys(places.items(), "family"))
    assert ledger.count("family") == Count(0, 0, 3)  # of those at work nobody knows yet
    ledger.ended(
        {("good", places["good"]): ("finished", 2.0), ("bad", places["bad"]): ("failed", 1.0)}
    )
    found = ledger.count("family")
    assert found == Count(1, 1, 1)
    assert found.trials == 3
    assert ledger.count("another") == Count(0, 0, 0)


def test_same_spec_twice_counts_once_as_the_best_of_the_two(ledger: Ledger, tmp_path: Path) -> None:
    first, second = place(tmp_path, "first", begun=True), place(tmp_path, "second", begun=True)
    ledger.begin({("k", first): "family"})
    ledger.end("k", first, "failed", 1.0)
    ledger.begin({("k", second): "family"})
    assert ledger.count("family") == Count(0, 1, 0)
    ledger.end("k", second, "finished", 1.0)
    assert ledger.count("family") == Count(1, 0, 0)
    ledger.begin({("k", place(tmp_path, "third")): "family"})
    assert ledger.count("family") == Count(1, 0, 0)


def test_what_begins_again_keeps_its_end_until_there_is_another(
    ledger: Ledger, tmp_path: Path
) -> None:
    where = place(tmp_path, "one", begun=True)
    for status, count in {"failed": Count(0, 1, 0), "finished": Count(1, 0, 0)}.items():
        ledger.begin({("k", where): "family"})
        ledger.end("k", where, status, 1.0)
        assert ledger.count("family") == count
    ledger.begin({("k", where): "family"})
    assert ledger.count("family") == Count(1, 0, 0)  # a finished one stays so


def test_directory_without_a_marker_has_begun(ledger: Ledger, tmp_path: Path) -> None:
    ledger.begin({("k", place(tmp_path, "one", whole=True)): "family"})
    assert ledger.count("family") == Count(0, 0, 1)


@pytest.mark.parametrize("status", ["begun", "planned"])
def test_a_run_that_was_written_has_ended_though_nobody_noted_it(
    ledger: Ledger, tmp_path: Path, status: str
) -> None:
    places = [tmp_path / name for name in ("whole", "another", "broken")]
    for place, told in zip(places, ('{"job": "a"}', '{"job": "x"}', '{"job": '), strict=True):
        place.mkdir()
        (place / "run.json").write_text(told)
    keys = [(key, str(place)) for key, place in zip("abc", places, strict=True)]
    ledger.begin(dict.fromkeys(keys, "family"), status)
    count = ledger.count("family")
    assert (count.finished, count.abandoned) == (1, 2)
    assert ledger.finished("abc") == {"a": places[0]}


def test_finished_gives_directories_that_are_still_there(ledger: Ledger, tmp_path: Path) -> None:
    for key in ("here", "gone"):
        where = place(tmp_path, key, whole=key == "here")
        ledger.begin({(key, where): "family"})
        ledger.end(key, where, "finished", 3.0)
    assert ledger.finished(["here", "gone", "unknown"]) == {"here": tmp_path / "sweep" / "here"}
    assert ledger.finished(["gone"]) == {}


def test_typical_seconds_is_the_median_of_what_finished(ledger: Ledger, tmp_path: Path) -> None:
    assert ledger.typical_seconds("family") is None
    for key, seconds in {"a": 1.0, "b": 5.0, "c": 3.0, "d": 100.0}.items():
        where = place(tmp_path, key)
        ledger.begin({(key, where): "family"})
        ledger.end(key, where, "failed" if key == "d" else "finished", seconds)
    assert ledger.typical_seconds("family") == 3.0


def test_nothing_is_written_by_looking(ledger: Ledger) -> None:
    assert ledger.count("family") == Count(0, 0, 0)
    assert ledger.finished(["k"]) == {}
    assert not ledger.path.exists()


WRITE = """
import sys
from pathlib import Path
from runner.record.ledger import Ledger
own, ledger = sys.argv[2], Ledger(Path(sys.argv[1]))
for i in range(25):
    for key in (f"{own}-{i}", f"all-{i}"):
        ledger.begin({(key, f"/nowhere/{own}/{key}"): "family"})
        ledger.end(key, f"/nowhere/{own}/{key}", "finished", 1.0)
"""


def test_four_simultaneous_writers_without_a_file_lose_nothing(ledger: Ledger) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WRITE, str(ledger.path)]
    writers = [
        subprocess.Popen([*command, f"w{i}"], env=env, stderr=subprocess.PIPE, text=True)
        for i in range(4)
    ]
    said = [one.communicate()[1] for one in writers]
    assert [one.returncode for one in writers] == [0] * 4, said
    assert ledger.count("family") == Count(125, 0, 0)
    with sqlite3.connect(ledger.path) as book:
        assert book.execute("select count(*) from trials").fetchone() == (200,)


def test_file_that_is_no_ledger_is_one_line(ledger: Ledger, tmp_path: Path) -> None:
    ledger.path.write_text("not a database, but long enough to look like one" * 50)
    for act in (lambda: ledger.count("family"), lambda: ledger.begin({("k", "p"): "family"})):
        with pytest.raises(DataError) as caught:
            act()
        [line] = caught.value.mistakes
        restored = "allowed: a copy of it, or none, which begins to count anew"
        assert line == f"ledger: {str(ledger.path)!r}: file is not a database; {restored}"
    outcome = call_cli(tmp_path, "data.assets=[S1V5]", "ledger=ledger.db")
    assert outcome.code == 2
    assert len(outcome.errors) == 1 and "file is not a database" in outcome.err, outcome.err
    assert "Traceback" not in outcome.err


def test_ledger_in_a_directory_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"^ledger: "):
        Ledger(tmp_path / "file" / "ledger.db").begin({("k", "p"): "family"})


DIES = '''
import os, signal


def dies(study):
    """What a user does who saw enough, or the system that is out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)
'''


def test_a_single_run_that_is_killed_was_a_trial(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(DIES)
    words = ["data.assets=[S1V5]", "report=tables"]
    killed = [
        sys.executable,
        "-m",
        "runner",
        *words,
        "+analyses.a={_target_:own.dies}",
        "allow=[own]",
    ]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert (
        subprocess.run(killed, cwd=tmp_path, env=env, capture_output=True, check=False).returncode
        == -9
    )
    assert call_cli(tmp_path, *words).code == 0
    ledger = Ledger(tmp_path / "outputs" / "ledger.db")
    [(family,)] = ledger._rows("select distinct family from trials")
    assert ledger.count(family) == Count(1, 0, 1)
