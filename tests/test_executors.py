"""Executors: the same values whoever computes them, though workers die; what cannot be had is said."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import calls
import numpy as np
import pytest
from distributed import LocalCluster
from pebble import ProcessPool

from runner.compute import Dask, Executor, Inline, Processes, Threads
from runner.compute.executors import dask
from runner.compute.executors.executor import AHEAD
from runner.errors import LostWorkerError, RunnerError
from runner.schema.protocols import completed

LARGEST_PAGE = 2**21  # bytes

CALLS = 12
EVERY = (Inline, Threads, Processes, Dask)
OF_PROCESSES = (Processes, Dask)


@pytest.fixture(scope="module", params=EVERY)
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """One of each, which the tests of this module share: workers take a second to start."""
    with request.param() as made:
        yield made


def test_every_executor_gives_the_same_bits(executor: Executor) -> None:
    results = dict(executor.results(calls.moments, range(CALLS)))
    assert sorted(results) == list(range(CALLS))
    for seed, result in results.items():
        np.testing.assert_array_equal(result, calls.moments(seed), strict=True)


def test_no_items_are_no_results(executor: Executor) -> None:
    assert list(executor.results(calls.moments, [])) == []


def test_what_the_function_raises_reaches_the_caller(executor: Executor) -> None:
    with pytest.raises(LookupError, match="its own"):
        list(executor.results(calls.fails, range(CALLS)))
    assert dict(executor.results(calls.fails, [5])) == {0: 5}  # which goes on


def test_results_that_nobody_waits_for_are_not_begun(executor: Executor, tmp_path: Path) -> None:
    results = executor.results(calls.marks, (str(tmp_path / str(k)) for k in range(CALLS)))
    next(results)
    results.close()
    assert dict(executor.results(calls.fails, [5])) == {0: 5}
    assert len(list(tmp_path.iterdir())) <= AHEAD * executor.at_a_time()


def test_a_call_that_lost_its_worker_is_tried_again(executor: Executor, tmp_path: Path) -> None:
    if not isinstance(executor, OF_PROCESSES):
        pytest.skip("its calls share the process of the tests")
    lives = tmp_path / "lives"
    lives.write_text("x")
    items = [calls.Deadly(str(lives), value) for value in range(CALLS)]
    assert sorted(executor.results(calls.deadly, items)) == list(enumerate(range(CALLS)))
    assert lives.stat().st_size == 0


def test_a_call_that_kills_every_worker_is_given_up(executor: Executor, tmp_path: Path) -> None:
    if not isinstance(executor, OF_PROCESSES):
        pytest.skip("its calls share the process of the tests")
    lives = tmp_path / "lives"
    lives.write_text("x" * 20)
    with pytest.raises(LostWorkerError, match=r"part 0 has no result: .* \(out of memory\?\)"):
        list(executor.results(calls.deadly, [calls.Deadly(str(lives), 1)]))
    assert dict(executor.results(calls.fails, [5])) == {0: 5}


def test_workers_that_die_before_they_begin_are_started_again() -> None:
    starts = []

    class Dying(Processes):
        def _started(self) -> ProcessPool:
            starts.append(self)
            if len(starts) > 1:
                return super()._started()
            return ProcessPool(2, initializer=os._exit, initargs=[1], context=get_context("spawn"))

    with Dying() as executor:
        assert sorted(executor.results(calls.fails, [5, 6])) == [(0, 5), (1, 6)]
    assert len(starts) == 2


def test_a_cluster_whose_worker_dies_as_it_starts_is_begun_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    starts = []
    begin = dask._of_this_machine

    def dying(workers: int) -> LocalCluster:
        starts.append(workers)
        if len(starts) != dask.STARTS:
            raise RuntimeError("Nanny failed to start.")
        return begin(workers)

    monkeypatch.setattr(dask, "_of_this_machine", dying)
    with Dask(workers=1) as executor:
        assert dict(executor.results(calls.fails, [5])) == {0: 5}
    with Dask() as executor, pytest.raises(RunnerError, match="died while it started, 3 times"):
        list(executor.results(calls.fails, [5]))


def test_workers_of_dask_keep_their_memory_and_one_thread_of_blas() -> None:
    with Dask(workers=1) as executor:
        assert dict(executor.results(calls.environment, ["OPENBLAS_NUM_THREADS"])) == {0: "1"}
        pages = dict(executor.results(calls.fresh_pages, [2**28, 2**28]))
    assert pages[1] < 2**28 / LARGEST_PAGE / 2  # the memory of the first call


def test_an_executor_of_ones_own_needs_submit_and_shutdown_alone() -> None:
    own = completed(ThreadPoolExecutor, Executor, ["submit", "shutdown"])
    with own(max_workers=2) as executor:  # type: ignore[call-arg]
        assert sorted(executor.results(calls.fails, [5, 6])) == [(0, 5), (1, 6)]


def test_an_address_without_a_scheduler_is_one_line_within_seconds() -> None:
    with (
        Dask(address="tcp://127.0.0.1:9") as executor,
        pytest.raises(
            RunnerError, match=r"^executor.address: no scheduler of Dask at .*:9'"
        ) as told,
    ):
        list(executor.results(calls.fails, [5]))
    assert len(told.value.mistakes) == 1
    assert "\n" not in told.value.mistakes[0]


def listening() -> set[str]:
    """Addresses that anyone listens to on this machine, as the kernel writes them."""
    addresses = set()
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            _, address, _, state, *_ = line.split()
            if state == "0A":
                addresses.add(address)
    return addresses


def test_dask_on_this_machine_listens_to_no_other() -> None:
    before = listening()
    with Dask(workers=1) as executor:
        list(executor.results(calls.fails, [5]))
        opened = listening() - before
    assert opened
    assert [address for address in opened if not address.startswith("0100007F:")] == []
