"""Membership by spells: labels from a date until another, and panels of members at each date."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from runner import targets
from runner.__main__ import main
from runner.data.joins.join import joined
from runner.data.joins.settings import Joined, LabelTable
from runner.data.labels import UNKNOWN
from runner.data.market import Market
from runner.errors import DataError
from runner.experiment.spec import Data
from runner.features.expressions import Expression
from runner.panels.building import build_panel
from runner.preprocessing import steps
from runner.preprocessing.applying import Step

DAYS = pd.bdate_range("2020-01-01", periods=40)
NAMES = ["AAA", "BBB", "CCC", "DDD"]
ASIDE = pd.Timestamp("2100-01-01")


def market() -> Market:
    cells = np.random.default_rng(3).normal(0.01, 0.05, (len(DAYS), len(NAMES)))
    index = DAYS.rename("date")
    return Market("here", {"ret": pd.DataFrame(cells, index, NAMES)}, pd.DataFrame(index=index))


def spells() -> pd.DataFrame:
    """In no order; AAA for ever, BBB twice, one inside another, CCC from and to days off."""
    rows = [
        ("BBB", DAYS[20], DAYS[25]),
        ("AAA", pd.Timestamp("1990-01-01"), None),
        ("BBB", DAYS[3], DAYS[9]),
        ("BBB", DAYS[4], DAYS[6]),
        ("BBB", DAYS[26], DAYS[27]),
        ("CCC", pd.Timestamp("2020-01-11"), pd.Timestamp("2020-01-19")),
    ]
    return pd.DataFrame(rows, columns=["ticker", "start", "ending"]).sample(frac=1, random_state=1)


def by_hand(table: pd.DataFrame) -> np.ndarray:
    """Members (T, N), a row of the table at a time."""
    inside = np.zeros((len(DAYS), len(NAMES)), dtype=bool)
    for row in table.itertuples():
        last = ASIDE if pd.isna(row.ending) else row.ending
        inside[(row.start <= DAYS) & (last >= DAYS), NAMES.index(row.ticker)] = True
    return inside


def with_spells(tmp_path: Path, table: pd.DataFrame, **settings: Any) -> Market:
    path = tmp_path / "spells.csv"
    table.to_csv(path, index=False)
    labels = LabelTable(str(path), date="start", until="ending", **settings)
    return joined(market(), [Joined("data.labels.sp500", labels)])


def words_of(market: Market, name: str) -> np.ndarray:
    labels = market.labels[name]
    return np.array(labels.values)[labels.codes]


def refused(work: Callable[[], Any]) -> str:
    with pytest.raises(DataError) as error:
        work()
    (line,) = error.value.mistakes
    return line


def test_spells_are_labels_of_each_date(tmp_path: Path) -> None:
    read = with_spells(tmp_path, spells())
    members = words_of(read, "sp500") == "member"
    assert np.array_equal(members, by_hand(spells()))
    assert "from their dates until ending, both included" in read.notes[-1]


def test_spells_with_labels_of_their_own(tmp_path: Path) -> None:
    table = spells().assign(exchange=np.where(spells()["start"] > DAYS[22], "NYSE", "AMEX"))
    read = words_of(with_spells(tmp_path, table), "exchange")
    for exchange in ("NYSE", "AMEX"):
        assert np.array_equal(read == exchange, by_hand(table[table["exchange"] == exchange]))
    assert np.array_equal(read == UNKNOWN, ~by_hand(table))


def test_spells_that_contradict_each_other(tmp_path: Path) -> None:
    both = pd.DataFrame(
        {
            "ticker": "AAA",
            "start": [DAYS[0], DAYS[5]],
            "ending": [DAYS[9], DAYS[12]],
            "x": ["a", "b"],
        }
    )
    line = refused(lambda: with_spells(tmp_path, both))
    assert line.startswith(
        f"data.labels.sp500.until: the spell of AAA from {DAYS[5]:%Y-%m-%d} begins before another label"
    )
    back = both[:1].assign(ending=DAYS[0] - pd.Timedelta(days=1))
    assert "ends before it begins" in refused(lambda: with_spells(tmp_path, back))


def test_a_panel_of_members_counts_the_others(tmp_path: Path) -> None:
    path = tmp_path / "spells.csv"
    spells().to_csv(path, index=False)
    table = Joined("data.labels.sp500", LabelTable(str(path), date="start", until="ending"))

    class Given:
        def load(self) -> Market:
            return market()

    data = Data("d", Given(), 0.0, [table], members="sp500")
    read = data.market()
    target = partial(targets.forward_return, horizon=1)
    demean = [Step(steps.demean, "demean", None)]
    past = {"past": Expression("lag(ret, 2)")}
    panel = build_panel(read, past, target, demean)
    everything = build_panel(joined(market(), [table]), past, target)
    at = read.dates.get_indexer(panel.dates)
    inside = by_hand(spells())[at]
    assert np.array_equal(panel.valid, everything.valid & inside)
    outside = {line.reason: line.rows for line in panel.dropped}
    assert outside["not in sp500 on the date"] == int((~inside).sum())
    # the past of an asset before it became a member counts, means are those of members
    raw = np.where(inside, everything.X[:, :, 0], np.nan)
    some = np.isfinite(raw).any(axis=1)
    means = np.nanmean(raw[some], axis=1, keepdims=True)
    assert np.allclose(panel.X[some, :, 0], raw[some] - means, rtol=0, atol=1e-15, equal_nan=True)
    assert read.fingerprint != joined(market(), [table]).fingerprint
    line = refused(Data("d", Given(), 0.0, [table], members="sp50").market)
    assert line.startswith("data.members: ") and "sp500" in line


def test_members_and_delisting_returns_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    wide = market().returns().rename_axis(columns="asset")
    rows = wide.iloc[:, :3].stack().rename("ret").reset_index()
    rows["dlret"] = np.where((rows["date"] == DAYS[-1]) & (rows["asset"] == "CCC"), -0.3, np.nan)
    rows.to_csv("own.csv", index=False)
    spells().to_csv("spells.csv", index=False)
    overrides = [
        "data=file",
        "data.path=own.csv",
        "data.columns={date: date, asset: asset, close: null, volume: null, ret: ret, dlret: dlret}",
        "data.delisting=dlret",
        "data.labels.sp500={path: spells.csv, date: start, until: ending}",
        "data.members=sp500",
    ]
    assert main(["check", "experiment=none", *overrides]) == 0
    out = capsys.readouterr().out
    assert "Delisting returns (dlret) enter the returns of 1 asset" in " ".join(out.split())
