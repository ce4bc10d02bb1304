"""Targets of weeks and months of a daily market on disk: what the run in memory writes, to the last bit."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import call_cli

from runner.data.market import Market
from runner.panels.blocks import dividing
from runner.panels.blocks.dividing import blocks_of
from runner.panels.blocks.recipe import Recipe, own_rows, panel_rows, reach_of
from runner.targets import forward_return

NAMES, DAYS = 40, 700
DATA = ("experiment=none", "data=file", "data.path=days.parquet", "features=none", "report=tables")
MARKET = "data.series={MKT: {path: market.csv, kind: return}}"
PAST = (
    "features.past={_target_: runner.features.momentum, window: 30}",
    "features.size=log(me)",
)
BY_MONTH = "features.MKT={_target_: runner.features.shared, series: MKT, frequency: month}"
TASKS = {
    "returns of the month ahead, Fama-MacBeth": (
        *PAST,
        "target=forward_return",
        "++target.frequency=month",
        "model=fama_macbeth",
        "validation=none",
    ),
    "two months ahead, walked forward": (
        *PAST,
        "target=forward_return",
        "++target.frequency=month",
        "target.horizon=2",
        "model=ridge_pooled",
        "validation=walk_forward",
        "validation.first=14",
        "validation.test=4",
    ),
    "a week ahead, the last kept": (
        *PAST,
        "target=forward_return",
        "++target.frequency=week",
        "++target.partial=keep",
        "model=pooled",
        "validation=none",
    ),
    "up or not in a month, by the industry of the date": (
        *PAST,
        "target=up",
        "++target.frequency=month",
        "model=pooled",
        "model.dummies=[industry]",
        "validation=none",
    ),
    "the same month as a factor": (
        MARKET,
        BY_MONTH,
        "target=same_period_return",
        "++target.frequency=month",
        "model=pooled",
        "validation=none",
    ),
    "the same day as a factor": (
        MARKET,
        "features.MKT={_target_: runner.features.shared, series: MKT}",
        "target=same_period_return",
        "model=pooled",
        "validation=none",
    ),
    "the last value of a factor": (
        MARKET,
        "features.MKT={_target_: runner.features.shared, series: MKT}",
        "target=forward_return",
        "++target.frequency=month",
        "model=pooled",
        "validation=none",
    ),
}


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a daily file of firms that come and go, and a factor."""
    folder = tmp_path_factory.mktemp("days")
    rng = np.random.default_rng(5)
    first = rng.integers(-100, DAYS - 80, NAMES)
    last = first + rng.integers(80, 500, NAMES)
    day = np.arange(DAYS)[:, None]
    name, row = np.nonzero(((first <= day) & (day < last)).T)
    dates = pd.bdate_range("2001-01-10", periods=DAYS)
    table = pd.DataFrame(
        {
            "date": dates[row],
            "permno": [f"P{i:03}" for i in name],
            "ret": rng.normal(0.0005, 0.02, len(row)),
            "me": np.exp(rng.normal(5, 1, len(row))),
            "industry": [f"I{code}" for code in (name + row // 150) % 3],
        }
    )
    table.loc[rng.random(len(table)) < 0.003, "ret"] = np.nan
    table.to_parquet(folder / "days.parquet", index=False, row_group_size=900)
    factor = pd.DataFrame({"date": dates, "MKT": rng.normal(0.0004, 0.01, DAYS)})
    factor.to_csv(folder / "market.csv", index=False)
    return folder


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_run_on_disk_is_that_in_memory(
    days: Path, task: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = call_cli(days, *DATA, *task, "data.on_disk=false")
    assert expected.code == 0, expected.err
    monkeypatch.setattr(dividing, "NUMBERS", 2**11)
    done = call_cli(days, *DATA, *task, "data.on_disk=true")
    assert done.code == 0, done.err
    panels = list((days / "outputs" / "cache").glob("*/panels/*"))
    newest = max(panels, key=lambda path: path.stat().st_mtime)
    assert len(list(newest.glob("*.rows"))) > 3, "of one block there is nothing to show"
    names = {path.name for path in expected.directory.glob("*.csv")}
    assert {"coefficients.csv", "dropped.csv", "metrics.json"} <= names | {"metrics.json"}
    for name in [*sorted(names), "metrics.json"]:
        of_memory = (expected.directory / name).read_text()
        assert (done.directory / name).read_text() == of_memory, name
    said = "return is compounded with"
    assert (said in " ".join(done.out.split())) == (said in " ".join(expected.out.split()))


def test_a_factor_of_the_day_beside_a_month_is_refused_as_in_memory(days: Path) -> None:
    words = (MARKET, "features.MKT={_target_: runner.features.shared, series: MKT}")
    words = (*words, "target=same_period_return", "++target.frequency=month", "model=pooled")
    lines = {
        call_cli(days, *DATA, *words, "validation=none", f"data.on_disk={on_disk}").errors[0]
        for on_disk in ("true", "false")
    }
    [line] = lines
    assert "MKT is the return of one row of the data, the target that of a week or month" in line


def test_days_without_a_whole_month_are_one_line(days: Path) -> None:
    table = pd.read_parquet(days / "days.parquet")
    table[table["date"] < "2001-01-25"].to_parquet(days / "short.parquet", index=False)
    words = (*PAST, "target=forward_return", "++target.frequency=month", "model=pooled")
    ended = call_cli(days, *DATA, *words, "data.path=short.parquet", "data.on_disk=true")
    assert ended.code == 2
    [line] = ended.errors
    assert line.startswith("error: target.frequency=month: it has no row: the last one is not over")
    ended = call_cli(days, *DATA, *words, "data.path=short.parquet", "target.horizon=2")
    assert ended.code == 2
    [line] = ended.errors
    assert "no observation has a target" in line and "the last one is not over" in line


@pytest.mark.parametrize("frequency", [None, "week", "month"])
@pytest.mark.parametrize("bars", [1, 40])
def test_blocks_are_cut_where_periods_end(frequency, bars: int) -> None:
    days = pd.bdate_range("2001-01-10", periods=3000 // bars)
    dates = pd.DatetimeIndex(np.repeat(days, bars)) + pd.to_timedelta(
        np.tile(np.arange(bars), len(days)), unit="min"
    )
    ret = pd.DataFrame(0.01, dates, ["A", "B", "C"])
    market = Market(source="here", fields={"ret": ret}, series=pd.DataFrame(index=dates))  # type: ignore[arg-type]
    target = partial(forward_return, frequency=frequency, horizon=2)
    recipe = Recipe({}, target, (), None, 1.0)
    reach = reach_of(market, recipe)
    rows = panel_rows(market, recipe)
    assert reach.horizon == 2
    assert (rows[2:] - rows[:-2]).max() == reach.after
    blocks = blocks_of(market, recipe, reach)
    assert blocks[0].start == 0 and blocks[-1].stop == rows[-1] + 1
    for one, other in pairwise(blocks):
        assert one.stop == other.start and one.stop - 1 in rows
    found = []
    for block in blocks:
        first = max(block.start - 7, 0)
        inside = rows[rows >= first]
        found += inside[own_rows(rows, first, block)].tolist()
    assert found == rows.tolist()
