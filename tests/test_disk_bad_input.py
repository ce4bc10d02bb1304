"""Bad input and bad disks under a run on disk: one line, exit code 2, nothing half done is left."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import call_cli
from test_runs_on_disk import DATA, FEATURES, SETTINGS, write_firms

from runner.compute.executors.local import Inline
from runner.data.stored import reading
from runner.panels.blocks import building, dividing, making
from runner.record.drafts import NEW

SPEC = (
    *("experiment=none", *DATA, *FEATURES, *SETTINGS["ridge out of sample"]),
    *("data.on_disk=true", "report=tables"),
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the file of firms; blocks have few dates."""
    monkeypatch.setattr(dividing, "NUMBERS", 2**9)
    monkeypatch.setattr(dividing, "CHUNK", 8)
    write_firms(tmp_path)
    return tmp_path


def refused(folder: Path, *words: str) -> str:
    """The one line of a run that leaves nothing half done."""
    done = call_cli(folder, *SPEC, *words)
    assert done.code == 2, done.err
    [line] = done.errors
    assert not list(folder.glob("outputs/runs/*"))
    left = [path for path in folder.rglob(".*") if path.name.endswith((NEW, ".unfinished"))]
    assert not left
    return line.removeprefix("error: ")


def metrics(folder: Path, *words: str) -> str:
    done = call_cli(folder, *SPEC, *words)
    assert done.code == 0, done.err
    return (done.directory / "metrics.json").read_text()


def rewritten(folder: Path, table: pd.DataFrame) -> None:
    table.to_parquet(folder / "firms.parquet", index=False, row_group_size=97)


def test_rows_in_any_order_give_the_same_run(folder: Path) -> None:
    expected = metrics(folder)
    table = pd.read_parquet(folder / "firms.parquet")
    rewritten(folder, table.sample(frac=1.0, random_state=3))
    assert metrics(folder) == expected


def test_keys_that_are_there_twice_in_far_row_groups(folder: Path) -> None:
    expected = metrics(folder)
    table = pd.read_parquet(folder / "firms.parquet")
    rewritten(folder, pd.concat([table, table.iloc[:5]]))
    assert metrics(folder) == expected, (
        "rows that repeat another one whole are counted, and left out"
    )
    other = table.iloc[[2]].assign(ret=0.5)
    rewritten(folder, pd.concat([table, other]))
    shutil.rmtree(folder / "outputs")
    line = refused(folder)
    assert "repeats a date and asset with other values, first P000 on 20" in line
    assert not list(folder.glob("outputs/cache/*.runner-market"))


def test_a_file_that_changes_while_it_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = reading.Writing._file_piece

    def changing(*arguments: Any) -> None:
        os.utime(folder / "firms.parquet", (1.0, 1.0))
        write(*arguments)

    monkeypatch.setattr(reading.Writing, "_file_piece", changing)
    assert "chang" in refused(folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB; what there is of it is told as more than enough."""
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if os.getuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


class _Usage:
    free = 10**9


def test_a_disk_without_room_is_told_before_anything_is_written(
    folder: Path, small_disk: Path
) -> None:
    assert "GB free, the table on disk takes" in refused(folder, f"data.folder={small_disk}")
    assert [path.name for path in small_disk.iterdir()] == ["lock"]


def test_a_disk_that_fills_up_while_it_is_written(
    folder: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Usage())
    line = refused(folder, f"data.folder={small_disk}")
    assert "cannot be written" in line and "No space left" in line and "data.folder=FOLDER" in line
    subprocess.run(["mount", "-o", "remount,size=200k", str(small_disk)], check=True)
    line = refused(folder, f"data.folder={small_disk}")
    assert line.startswith("panel: ") and "No space left" in line and "data.folder=FOLDER" in line
    [panel] = small_disk.glob("*/panels/*")
    made = len(list(panel.glob("*.json")))
    assert made > 0
    subprocess.run(["mount", "-o", "remount,size=9m", str(small_disk)], check=True)
    stamps = {path.name: path.stat().st_mtime_ns for path in panel.glob("*.json")}
    assert metrics(folder, f"data.folder={small_disk}") == metrics(folder)
    for name, stamp in stamps.items():
        assert (panel / name).stat().st_mtime_ns == stamp, "what was made stays"


def test_a_panel_without_room_is_told_before_its_blocks(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building.shutil, "disk_usage", lambda _: _Usage())
    monkeypatch.setattr(_Usage, "free", 50_000)
    monkeypatch.setattr("runner.data.stored.folder.check_room", lambda *_: None)
    line = refused(folder)
    assert "GB free, its" in line and "rows take" in line
    assert not list(folder.glob("outputs/cache/*/panels/*/*"))


def test_rows_that_were_cut_are_made_anew(folder: Path) -> None:
    expected = metrics(folder)
    [first, *_] = sorted(folder.glob("outputs/cache/*/panels/*/*.rows"))
    first.write_bytes(first.read_bytes()[:-1])
    assert metrics(folder) == expected
    first.unlink()
    assert metrics(folder) == expected


class Elsewhere(Inline):
    """A worker on a machine with a disk of its own, where what it writes stays."""

    def results(self, function: Any, items: Iterable[Any]) -> Generator[tuple[int, Any]]:
        for position, block in enumerate(items):
            made = function(block)
            folder = function.args[-1]
            making.rows_path(folder, block).unlink()
            yield position, made


class Blind(Inline):
    """A worker on a machine that has no such folder."""

    def results(self, function: Any, items: Iterable[Any]) -> Generator[tuple[int, Any]]:
        folder = function.args[-1]
        hidden = folder.with_name("hidden")
        folder.rename(hidden)
        try:
            yield from super().results(function, items)
        finally:
            hidden.rename(folder)


@pytest.mark.parametrize("executor", [Elsewhere, Blind])
def test_a_worker_that_does_not_see_the_folder(
    executor: type[Inline], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.experiment.shared_work.executor_of", lambda *_: executor())
    line = refused(folder)
    assert line.startswith("executor: a worker does not see '/")
    assert "data.folder=FOLDER that every worker sees" in line
