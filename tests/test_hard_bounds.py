"""What a slip of the keyboard would make endless is refused at once, with what it would take."""

from __future__ import annotations

import time

import pytest
from conftest import call_cli

from runner.__main__ import VERBS
from runner.data import Simulated

AT_ONCE = 20.0  # seconds, the imports of a first run included
SMALL = (
    "experiment=none data=simulated features=market target=forward_return audit=off report=tables"
)
SLIPS = [
    (
        "model.components=9223372036854775807",
        "model.components: given 9223372036854775807; allowed: a whole number of at most 15 digits",
    ),
    (
        "model.components=2147483648",
        "model.components: given 2147483648; allowed: a number from 0 to 1,000",
    ),
    ("data.assets=2147483648", "data: 1,000 dates x 2,147,483,648 assets take about 137,438 GB"),
    ("data.assets=100000000000000000000000", "data.assets: given 100000000000000000000000; "),
    (
        "data.sectors=1000000000000000000000",
        "data.sectors: given 1000000000000000000000; allowed: a whole number of at most 15 digits",
    ),
    ("data.gaps=1" + "0" * 400, "data.gaps: given 1"),
    (
        "model=boosting model.rounds=1000000000",
        "model.rounds: 1,000,000,000 trees of 31 leaves have 31,000,000,000 in all; allowed: ",
    ),
    (
        "model=lasso model.penalties=1000000000",
        "model.penalties: given 1000000000; allowed: a number from 1 to 10,000",
    ),
    (
        "model=cross_asset model.penalties=1000000000",
        "model.penalties: given 1000000000; allowed: a number from 2 to 10,000",
    ),
    ("data=simulated_minutes data.assets=1000000000", "data: 390 dates x 1,000,000,000 assets "),
    (
        "+analyses.s={_target_:runner.analyses.sharpe,draws:1000000000}",
        "analyses.s.draws: given 1000000000; allowed: a number from 1 to 1,000,000",
    ),
    (
        "+analyses.s={_target_:runner.analyses.monte_carlo,draws:1000000000}",
        "analyses.s.draws: given 1000000000; allowed: a number from 1 to 1,000,000",
    ),
]


@pytest.mark.parametrize(("slip", "line"), SLIPS, ids=[slip for slip, _ in SLIPS])
def test_endless_work_is_refused_at_once(tmp_path, slip: str, line: str) -> None:
    begun = time.process_time()
    outcome = call_cli(tmp_path, *SMALL.split(), *slip.split())
    assert time.process_time() - begun < AT_ONCE
    assert outcome.code == 2
    [error] = outcome.errors
    assert error.startswith(f"error: {line}")
    assert not (tmp_path / "outputs" / "runs").exists()


def test_estimate_of_simulated_memory_is_of_the_size_that_it_takes() -> None:
    """Numbers that numpy holds at the peak, beside the estimate: within a factor of two."""
    import tracemalloc

    from runner.compute.memory import NUMBER
    from runner.data.sources.simulation.simulated import HELD

    Simulated(assets=10, rows=300).load()  # imports
    tracemalloc.start()
    Simulated(assets=400, rows=1000).load()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    estimate = HELD * NUMBER * 400 * 1000
    assert estimate / 2 < peak < 2 * estimate


def test_no_room_is_one_line(tmp_path, monkeypatch) -> None:
    def full(words: object) -> int:
        raise MemoryError("Unable to allocate 7.45 GiB")

    monkeypatch.setitem(VERBS, "list", full)
    outcome = call_cli(tmp_path, "list")
    assert outcome.code == 1
    assert outcome.err == "error: out of memory: Unable to allocate 7.45 GiB\n"
