"""What a panel takes is said and refused before it is made; steps hold one column twice; the bench stays small."""

from __future__ import annotations

import mmap
import os
import platform
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path
from threading import Barrier

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from runner.cli.composition import Composer
from runner.compute import memory as machine
from runner.compute import pages
from runner.compute.allocator import KEEPING
from runner.compute.cache import Bench, held
from runner.compute.lazily import Lazily
from runner.compute.pages import large_array, let_go
from runner.errors import DataError
from runner.experiment.run import run
from runner.panels import memory
from runner.preprocessing import applying
from runner.preprocessing import steps as preprocessing
from runner.preprocessing.applying import Step, apply
from runner.progress import reading

SMALL = ["experiment=vol_panel", "data.assets=8", "data.rows=800", "audit=off"]


def write(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_available_is_the_least_of_what_the_system_and_the_group_have(tmp_path: Path) -> None:
    assert machine.available(tmp_path) is None
    write(tmp_path, proc__meminfo="MemTotal: 90 kB\nMemAvailable:    50 kB\n")
    assert machine.available(tmp_path) == 50 * 1024
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    (group / "memory.current").write_text("7\n")
    assert machine.available(tmp_path) == 50 * 1024
    (group / "memory.max").write_text("1007\n")
    assert machine.available(tmp_path) == 1000
    (group / "memory.current").write_text("2000\n")
    assert machine.available(tmp_path) == 0


def test_what_cannot_fit_is_refused_with_the_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    of_rows = 8000 * (18 + memory.BESIDE_ROWS)
    for wide, arrays in ((True, memory.ARRAYS), (False, memory.MASKS)):
        need = 8 * (of_rows + arrays * 1000 * 100)
        assert memory.needed_of_rows(8000, 1000, 100, 9, wide) == need
    need = memory.needed(1000, 100, 9)
    assert need == 8 * 1000 * 100 * (9 + memory.BESIDE)
    monkeypatch.setattr(machine, "available", lambda: need - 1)
    with pytest.raises(
        DataError, match=r"panel: 1,000 dates x 100 assets x 9 columns take about 0.0 GB"
    ):
        memory.check(1000, 100, 9, None)
    monkeypatch.setattr(machine, "available", lambda: need)
    memory.check(1000, 100, 9, None)
    monkeypatch.setattr(machine, "available", lambda: None)
    memory.check(10**6, 10**5, 9, None)


def test_a_run_refuses_and_says_before_its_features_are_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    notes: list[str] = []
    monkeypatch.setattr(memory, "TOLD", 10**5)
    with reading(notes.append):
        run(Composer().job(SMALL).experiment)
    (said,) = notes
    assert said.startswith(
        "panel: 800 dates x 8 assets x 8 columns take about 0.0 GB of memory, of "
    )
    monkeypatch.setattr(machine, "available", lambda: 10**6)  # enough for the data
    with pytest.raises(
        DataError, match=r"panel: 800 dates x 8 assets x 8 columns .* there are 0.0 GB; allowed:"
    ):
        run(Composer().job(SMALL).experiment)


def test_steps_of_one_column_hold_no_second_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    T, N, K = 400, 200, 12
    monkeypatch.setattr(applying, "CELLS", T * N // 2)  # as of a large panel
    X = np.random.default_rng(0).standard_normal((T, N, K))
    names = [f"x{k}" for k in range(K)]
    sparse = Step(partial(preprocessing.drop_sparse, most=0.5), "drop_sparse", None)
    clip = Step(partial(preprocessing.clip, low=-1.0, high=1.0), "clip", None)
    fill = Step(partial(preprocessing.fill, value=0.2), "fill", None)
    forward = Step(preprocessing.forward_fill, "forward_fill", None)
    tracemalloc.start()
    made = apply([sparse, forward, fill, clip], X, names, pd.DataFrame(), in_place=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert made.X is X and peak < 0.6 * X.nbytes
    given = X.copy()
    assert apply([clip], X, names, pd.DataFrame()).X is not X
    np.testing.assert_array_equal(X, given)


def test_a_step_of_ones_own_may_write_to_what_it_is_given() -> None:
    def tenfold(cross: preprocessing.Cross) -> np.ndarray:
        cross.X[cross.X > 2.0] = np.nan
        return cross.X

    X = np.arange(6.0).reshape(3, 2, 1)
    made = apply([Step(tenfold, "tenfold", None)], X, ["a"], pd.DataFrame())
    assert made.account == [("changed value", "a left without a value by tenfold", 3)]
    assert X[2, 1, 0] == 5.0


def resident() -> int:
    """Kilobytes of this process that lie in files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssFile:"))


def test_a_large_array_takes_memory_only_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "LARGE", 2**20)
    array = large_array((256, 128, 128))
    array[:] = np.arange(128.0)
    before = resident()
    let_go(array[3:, 1:, ::2])
    assert before - resident() > 0.9 * array.nbytes / 1024
    np.testing.assert_array_equal(array[7, 8], np.arange(128.0))
    let_go(np.zeros(3))


def test_a_large_array_is_in_memory_where_the_disk_has_no_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(pages, "LARGE", 1)
    monkeypatch.setattr(pages, "RESERVE", full)
    assert large_array((3, 2)).base is None


FIXED = ["model=fixed", "~model.regressors", "analyses.by_fold=null"]


@pytest.mark.parametrize(
    "model",
    [
        ["model.regressors=[vol_5,vol_21]", "model.rows=own"],
        ["model.regressors=[vol_5,vol_63]", "model.rows=own"],
        ["model.regressors=[vol_5,vol_63]", "model.rows=common", "model.by=asset"],
        ["model.dummies=[sector]"],
        [*FIXED, "model.weights={vol_21: 0.7, vol_252: 0.3}"],
    ],
)
def test_a_run_on_arrays_in_files_has_the_bits_of_one_in_memory(
    model: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*SMALL, *model]
    in_memory = run(Composer().job(words).experiment)
    monkeypatch.setattr(pages, "LARGE", 1)
    in_file = run(Composer().job(words).experiment)
    assert_frame_equal(in_file.predictions, in_memory.predictions, check_exact=True)
    assert_frame_equal(in_file.fit.coefficients, in_memory.fit.coefficients, check_exact=True)
    assert in_file.metrics == in_memory.metrics


@dataclass(frozen=True)
class Thing:
    X: np.ndarray
    more: dict[str, np.ndarray]
    frame: pd.DataFrame


def test_the_bench_counts_shared_arrays_once_and_lets_go_of_old_panels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    X = np.zeros((100, 10))
    frame = pd.DataFrame(np.zeros((50, 4)))
    assert held([Thing(X, {"a": X[:10], "b": np.zeros(5)}, frame)]) == X.nbytes + 40 + 1600
    monkeypatch.setattr("runner.compute.cache.MOST_BYTES", 9000)
    bench, made = Bench(), []

    def panel(k: int) -> np.ndarray:
        made.append(k)
        return np.zeros(1000)

    for k in (0, 0, 1, 2):
        bench.get("market", "one", lambda: np.zeros(10))
        bench.get("panel", k, partial(panel, k))
        bench.get("moments", k, lambda: np.zeros(3))
    kinds = [key.partition("-")[0] for key in bench.things]
    assert made == [0, 1, 2] and kinds.count("market") == 1 and kinds.count("panel") <= 2
    bench.get("panel", 2, partial(panel, 2))
    assert made == [0, 1, 2]


HUGE = "NUMPY_MADVISE_HUGEPAGE"
TOUCHED = """
import resource
import numpy as np
from runner.compute.allocator import keep_memory, trim

def fresh():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(2**23)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(fresh(), fresh())
keep_memory()
fresh()
kept = fresh()
trim()
print(kept, fresh())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it asks the C library of Linux")
def test_memory_of_arrays_that_are_gone_is_kept_until_it_is_given_back() -> None:
    # Dask leaves the environment of its workers behind
    environment = {name: given for name, given in os.environ.items() if name not in KEEPING}
    environment[HUGE] = "0"
    command = [sys.executable, "-c", TOUCHED]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    plain, again, kept, given_back = map(int, told.stdout.split())
    pages_of_array = 2**26 // mmap.PAGESIZE
    assert min(plain, again, given_back) > 0.9 * pages_of_array
    assert kept < 0.1 * pages_of_array


@pytest.mark.parametrize("given", [None, "1"])
def test_large_arrays_of_commands_have_small_pages_unless_the_user_says_otherwise(
    given: str | None,
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != HUGE}
    if given is not None:
        environment[HUGE] = given
    asked = "import runner.__main__, numpy; print(numpy._core.multiarray._get_madvise_hugepage())"
    command = [sys.executable, "-c", asked]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == str(given == "1")


def test_two_threads_make_attributes_of_two_objects_at_once() -> None:
    both = Barrier(2)

    class Thing:
        @Lazily
        def made(self) -> int:
            return both.wait(timeout=20)  # broken where one thread has to end before the other

    with ThreadPoolExecutor(2) as pool:
        made = set(pool.map(attrgetter("made"), [Thing(), Thing()]))
    assert made == {0, 1}
    once = Thing()
    once.__dict__["made"] = 7
    assert once.made == 7
