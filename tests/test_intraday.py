"""Minute bars: sessions that nothing reaches out of, gaps that are counted, and what is refused in one line."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from minutes import COLUMNS, bars, written

from runner.cli.composition import Composer
from runner.data.calendar import span
from runner.data.market import Market
from runner.data.reading.dates.times import clock
from runner.data.sources.file import File
from runner.errors import DataError, SpecError
from runner.experiment.run import run
from runner.features.expressions import Expression
from runner.features.functions import lagged_return, momentum, volatility, volume_surprise
from runner.panels.building import build_panel
from runner.panels.panel import Panel
from runner.targets import forward_return

ONLY_RET = COLUMNS | {"close": None}
ONLY_CLOSE = COLUMNS | {"ret": None}
HOURS = "09:31-09:42"  # twelve bars


def load(
    frame: pd.DataFrame, folder: Path, columns: dict[str, str | None] = ONLY_RET, **settings: Any
) -> Market:
    settings = {"session": HOURS, "opening": True} | settings
    return File(written(frame, folder), columns, **settings).load()


def account(market: Market) -> dict[str, int]:
    return {f"{one.what}: {one.reason}": one.rows for one in market.dropped}


def refused(call: Any) -> str:
    with pytest.raises(DataError) as caught:
        call()
    [line] = caught.value.mistakes
    return line


def test_a_time_of_day_beside_the_date(tmp_path: Path) -> None:
    market = load(bars(), tmp_path)
    assert len(market.dates) == 24
    assert str(market.dates[0]) == "2020-03-02 09:31:00"
    assert str(market.dates[-1]) == "2020-03-03 09:42:00"
    expected = bars().pivot_table(index=["day", "Time"], columns="Ticker", values="ret")
    np.testing.assert_array_equal(market.get("ret"), expected)
    assert market.dropped == ()


@pytest.mark.parametrize(
    ("written_as", "seconds"),
    [
        ([93100, 160000], [34260, 57600]),
        ([931, 1600], [34260, 57600]),
        (["93100", "160000"], [34260, 57600]),
        ([93100.0, 160000.0], [34260, 57600]),
        (["09:31", "16:00:30"], [34260, 57630]),
        ([100, 93100], [60, 34260]),  # seconds are written where any number has them
        ([2400, "12:60", "noon", 1265], [None, None, None, None]),
        ([236000, 93160], [None, None]),
    ],
)
def test_times_of_day(written_as: list[Any], seconds: list[int | None]) -> None:
    assert clock(written_as) == seconds


def test_a_bad_time_is_named_with_its_row(tmp_path: Path) -> None:
    frame = bars()
    frame.loc[4, "Time"] = 97500
    line = refused(lambda: load(frame, tmp_path))
    assert (
        line == "data.columns.time: column 'Time' has 97500 in row 5; allowed: a time such as 09:31"
    )


def test_a_time_beside_a_date_that_has_one_is_refused(tmp_path: Path) -> None:
    frame = bars().assign(day=lambda one: one["day"] + " 10:00")
    assert refused(lambda: load(frame, tmp_path)).startswith(
        "data.columns.time: given beside dates that have"
    )


@pytest.mark.parametrize("name", ["bars.parquet", "bars.csv"])
def test_zoned_stamps_in_the_time_of_the_exchange(name: str, tmp_path: Path) -> None:
    """2020-03-06 is before, 2020-03-09 after the clocks went forward in New York."""
    frame = bars(1, 2, 1)
    frame["day"] = pd.to_datetime(["2020-03-06T14:31:00Z", "2020-03-09T13:31:00Z"])
    path, columns = written(frame, tmp_path, name), COLUMNS | {"time": None}
    there = File(path, columns, time_zone="America/New_York").load()
    assert [str(one) for one in there.dates] == ["2020-03-06 09:31:00", "2020-03-09 09:31:00"]
    assert [one.hour for one in File(path, columns).load().dates] == [14, 13]


def panel_of(market: Market, *more: Any) -> Panel:
    columns = {f"ret_{lag}": partial(lagged_return, lag=lag) for lag in range(3)}
    return build_panel(
        market, columns | {f"x{k}": one for k, one in enumerate(more)}, forward_return
    )


def test_no_return_lag_or_window_crosses_the_night(tmp_path: Path) -> None:
    """Each column of two sessions is that of each session by itself."""
    columns = ONLY_CLOSE | {"volume": "volume"}
    frame = bars().assign(volume=np.arange(72.0) + 1.0)
    more = [
        partial(momentum, window=4),
        partial(volatility, window=3),
        partial(volume_surprise, window=3),
        Expression("close / lag(close, 2) - 1"),
        Expression("mean(volume, 3)"),
        Expression("ewma(volume, 4)"),
    ]
    both = panel_of(load(frame, tmp_path, columns), *more)
    for k, day in enumerate(frame["day"].unique()):
        single = panel_of(load(frame[frame["day"] == day], tmp_path, columns, session=None), *more)
        rows = slice(12 * k, 12 * k + 12)
        np.testing.assert_array_equal(both.X[rows], single.X)
        np.testing.assert_array_equal(both.y[rows], single.y)
    assert both.sessions is not None
    assert both.sessions.tolist() == [0] * 12 + [1] * 12


def test_the_market_asset_has_returns_of_its_own_within_a_session(tmp_path: Path) -> None:
    """The first bar is over the night unless `opening`; what follows a bar without a price is over more than one."""
    frame = bars()
    wrong = (frame["Ticker"] == "A0") & (frame["Time"] == 93500) & (frame["day"] == "2020-03-02")
    frame.loc[wrong, "close"] = -1.0
    own = frame.loc[frame["Ticker"] == "A0", "ret"].to_numpy().copy()
    own[5] = np.nan  # follows the bar without a price, which is the fifth
    kept, left = (
        load(frame, tmp_path, COLUMNS, market="A0", opening=opening) for opening in (True, False)
    )
    np.testing.assert_array_equal(kept.index_returns, own)
    own[[0, 12]] = np.nan
    np.testing.assert_array_equal(left.index_returns, own)


def test_the_night_is_crossed_where_it_is_asked_for(tmp_path: Path) -> None:
    market = load(bars(), tmp_path, ONLY_CLOSE, session=None)
    assert market.returns().iloc[12].notna().all()
    assert panel_of(market).sessions is None
    assert load(bars(), tmp_path, ONLY_CLOSE).returns().iloc[[0, 12]].isna().all(axis=None)


def test_the_first_return_of_a_session_is_kept_only_where_it_is_within_the_bar(
    tmp_path: Path,
) -> None:
    kept, left = (load(bars(), tmp_path, opening=opening) for opening in (True, False))
    assert kept.returns().notna().all(axis=None)
    assert left.returns().isna().sum().tolist() == [2, 2, 2]
    assert account(left) == {"missing return: of the first bar of a session, over the night": 6}


@pytest.mark.parametrize("columns", [ONLY_RET, ONLY_CLOSE])
def test_a_return_over_a_gap_is_not_a_one_minute_return(
    columns: dict[str, str | None], tmp_path: Path
) -> None:
    """Minute 5 is missing for A1, minute 8 for all: rows are there all the same, and are counted."""
    frame = bars(1)
    frame = frame[
        ~((frame["Time"] == 93500) & (frame["Ticker"] == "A1")) & (frame["Time"] != 93800)
    ]
    market = load(frame, tmp_path, columns)
    assert len(market.dates) == 12
    known = market.returns().notna().to_numpy()
    lost = {(4, 1), (5, 1), *((7, i) for i in range(3)), *((8, i) for i in range(3))}
    lost |= set() if columns is ONLY_RET else {(0, i) for i in range(3)}
    assert set(zip(*(at.tolist() for at in np.nonzero(~known)), strict=True)) == lost
    assert account(market) == {
        "missing bar: not in the data, and not padded": 4,
        "missing return: follows a missing bar, over more than one": 4,
    }
    panel = panel_of(market)
    assert panel.valid[:, 1].sum() < panel.valid[:, 0].sum()


def test_bars_outside_the_session_and_between_minutes_are_counted(tmp_path: Path) -> None:
    frame = bars(1)
    frame.loc[0:2, "Time"] = 92900
    frame.loc[6:8, "Time"] = 93230
    assert account(load(frame, tmp_path)) == {
        "source row: outside the session 09:31-09:42": 3,
        "source row: not on a whole bar of 1 min": 3,
        "missing bar: not in the data, and not padded": 6,
        "missing return: follows a missing bar, over more than one": 6,
    }


def test_bars_of_several_minutes(tmp_path: Path) -> None:
    market = load(bars(1), tmp_path, session="09:31-09:41", bar=5)
    assert [f"{one:%H:%M}" for one in market.dates] == ["09:31", "09:36", "09:41"]


def test_no_bar_of_a_session(tmp_path: Path) -> None:
    line = refused(lambda: load(bars(), tmp_path, session="10:00-16:00"))
    assert line == (
        "data.session: 10:00-16:00 in bars of 1 min holds no row; the times of day run 09:31..09:42"
    )


def test_duplicate_bars_are_counted_or_refused(tmp_path: Path) -> None:
    frame = bars()
    twice = pd.concat([frame, frame.iloc[5:8]])
    assert account(load(twice, tmp_path)) == {"source row: repeats another row": 3}
    twice.iloc[-1, -1] += 1e-3
    line = refused(lambda: load(twice, tmp_path))
    assert line == (
        "data: 1 row repeats a date and asset with other values, first A1 on 2020-03-02 09:33:00; "
        "allowed: one row per date and asset"
    )


def test_a_file_cut_short_is_refused_in_one_line(tmp_path: Path) -> None:
    path = Path(written(bars(), tmp_path))
    whole = path.read_bytes()
    assert pq.ParquetFile(path).metadata.num_rows == 72
    for share in (0.3, 0.9):
        path.write_bytes(whole[: int(share * len(whole))])
        line = refused(lambda: File(str(path), ONLY_RET, session=HOURS).load())
        assert line.startswith(f"data.path: {str(path)!r} is not a whole parquet file: ")
        assert "\n" not in line


def test_weeks_of_sessions_are_refused(tmp_path: Path) -> None:
    market = load(bars(), tmp_path, ONLY_CLOSE)
    line = refused(lambda: build_panel(market, {}, partial(forward_return, frequency="week")))
    assert line == "target: frequency=week crosses the night between sessions; allowed: null"


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        (
            "data.session='16:00-09:30'",
            "allowed: the first and the last bar of a day, such as 09:31-16:00",
        ),
        (
            "data.session=morning",
            "allowed: the first and the last bar of a day, such as 09:31-16:00",
        ),
        ("data.time_zone=New_York", "allowed: a name such as America/New_York"),
        ("data.bar=0", "allowed: a number from 1"),
    ],
)
def test_settings_that_are_no_sessions(setting: str, reason: str) -> None:
    with pytest.raises(SpecError) as caught:
        Composer().job(["experiment=none", "data=minute", "data.path=x.parquet", setting])
    [line] = caught.value.mistakes
    assert line.endswith(reason)


def test_a_run_on_minutes(tmp_path: Path) -> None:
    """Forecasts start with the 33rd return of each session, and times are shown."""
    path = written(bars(2, 45, 4), tmp_path)
    words = [
        "experiment=minute_fit",
        "data=minute",
        f"data.path={path}",
        "data.session=09:31-10:15",
    ]
    report = run(Composer().job([*words, "analyses.forecast_fit.least=5"]).experiment)
    times = pd.DatetimeIndex(report.predictions["date"]).strftime("%H:%M")
    assert sorted(set(times)) == [f"10:{minute:02d}" for minute in range(3, 15)]
    assert span(report.panel.dates) == "2020-03-02 09:31..2020-03-03 10:15"
    table = report.findings["forecast_fit"].table
    assert table[table["unit"] == "all"].groupby(["z", "over"])["units"].first().to_dict() == {
        ("full", "asset"): 4,
        ("full", "date"): 24,
        ("past", "asset"): 4,
        ("past", "date"): 14,
    }
