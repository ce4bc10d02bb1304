"""What looks wrong but breaks no rule: one line with the numbers, where people look; none of the shipped data."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from runner.cli.composition import Composer
from runner.data.market import Market
from runner.data.rules import admitted
from runner.data.sources.file import File
from runner.data.suspicions import suspicions
from runner.experiment.reading import sections
from runner.experiment.run import run
from runner.sweeps.comparison import caveats

T, N = 240, 8
DATES = pd.bdate_range("2000-01-31", periods=T, freq="BME", name="date")
NAMES = [f"A{k}" for k in range(N)]
SHARED = Path(__file__).parents[2] / "shared" / "data"


def market(ret: np.ndarray, dates: pd.DatetimeIndex = DATES, **series: np.ndarray) -> Market:
    fields = {"ret": pd.DataFrame(ret, dates, NAMES[: ret.shape[1]])}
    return Market("here", fields, pd.DataFrame(series, index=dates))


@pytest.fixture
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Monthly returns (T, N) in decimals, and the factor (T,) that they follow."""
    rng = np.random.default_rng(0)
    factor = rng.normal(0.006, 0.045, T)
    return factor[:, None] + rng.normal(0, 0.05, (T, N)), factor


def test_nothing_looks_wrong_in_decimals(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    ret, factor = drawn
    level, rate = 20.0 + np.cumsum(factor), np.full(T, 0.002) + 1e-4 * np.sin(np.arange(T) / 20.0)
    spread = 2.0 * np.cos(np.arange(T) / 30.0)
    assert suspicions(market(ret, factor=factor, level=level, rate=rate, spread=spread)) == []


def test_returns_above_their_size_are_in_per_cent() -> None:
    """Gains only, as no rule could see them: 95 % of them above 1."""
    ret = np.random.default_rng(1).uniform(0.2, 8.0, (T, N))
    [line] = suspicions(market(ret))
    share, middle = (ret > 1.0).mean(), np.median(ret)
    start = f"{100 * share:.1f} % of the returns (ret) are above 100 % in absolute value, the median is {100 * middle:.1f} %"
    assert line == f"{start}: are they in per cent, or not returns?"
    few = np.where(np.arange(T)[:, None] % 25 == 0, 1.5, 0.3) * np.ones(N)  # 4 % above one
    assert suspicions(market(few)) == []


@pytest.mark.parametrize("scale", [100.0, 0.01])
@pytest.mark.parametrize("as_field", [False, True])
def test_a_factor_on_another_scale_than_the_returns(
    drawn: tuple[np.ndarray, np.ndarray], scale: float, as_field: bool
) -> None:
    ret, factor = drawn
    made = market(ret, mkt=scale * factor)
    if as_field:  # a column that repeats the value of the date for each asset
        fields = {
            **made.fields,
            "mkt": pd.DataFrame(np.repeat(scale * factor[:, None], N, 1), DATES, NAMES),
        }
        made = Market("here", fields, pd.DataFrame(index=DATES))
    [line] = suspicions(made)
    own, size = (scale * factor).std(ddof=1), ret.std(ddof=1)
    ratio = max(own / size, size / own)
    for value in (f"{own:.4g}", f"{size:.4g}", f"{ratio:.3g}".rstrip("0")):
        assert value[:5] in line, (value, line)
    assert line.startswith("The standard deviation of mkt is ") and line.endswith(
        ": is one of them in per cent?"
    )


def test_a_move_far_beyond_what_the_asset_does(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    ret = 0.2 * drawn[0]
    ret[100, 3], ret[50, 1] = 9.0, 0.45  # the second is no move above 50 %
    [line] = suspicions(market(ret))
    middle = np.median(np.abs(ret[:, 3]))
    times = 9.0 / middle
    assert line.startswith(
        f"A3 has a return of 900.0 % on {DATES[100]:%Y-%m-%d}, {times:,.0f} times the median "
        "absolute return of "
    )
    wild = 5.0 * drawn[0]
    assert (
        np.abs(wild).max() > 0.5 and suspicions(market(np.clip(wild, -0.9, 0.9))) == []
    )  # that is what it does


def test_the_largest_moves_are_named_and_the_others_counted(
    drawn: tuple[np.ndarray, np.ndarray],
) -> None:
    ret = 0.1 * drawn[0]
    for k in range(8):
        ret[10 + k, k] = 2.0 + k
    lines = suspicions(market(ret))
    assert [line.split()[0] for line in lines] == ["A7", "A6", "A5", "A4", "A3", "3"]
    assert (
        lines[-1]
        == "3 further returns above 50.0 % and above 50 times the median absolute return of the asset."
    )


def test_a_move_of_an_asset_that_hardly_trades() -> None:
    ret = np.zeros((T, 1))
    ret[7] = -0.8
    [line] = suspicions(market(ret))
    assert line.startswith(
        "A0 has a return of -80.0 % on 2000-08-31, against a median absolute return of 0.0 %:"
    )


def test_too_little_to_judge() -> None:
    for rows in (0, 1, 2, 19):
        dates = DATES[:rows]
        ret = np.full((rows, 2), np.nan)
        assert suspicions(market(ret, dates, mkt=np.arange(rows) % 2 * 200.0 - 100.0)) == []


def test_it_stands_where_people_look(tmp_path: Path, drawn: tuple[np.ndarray, np.ndarray]) -> None:
    from runner.sinks import page
    from runner.sinks.machine import of_run

    ret, factor = drawn
    rows = [
        {"date": day, "asset": name, "ret": ret[t, i], "mkt": 100.0 * factor[t]}
        for t, day in enumerate(DATES)
        for i, name in enumerate(NAMES)
    ]
    path = tmp_path / "panel.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    words = [
        "experiment=none",
        "data=file",
        f"data.path={path}",
        "data.columns.date=date",
        "data.columns.asset=asset",
    ]
    words += [
        "data.columns.close=null",
        "data.columns.volume=null",
        "+data.columns.ret=ret",
        "+data.columns.mkt=mkt",
    ]
    words += ["features=none", "+features.mkt=mkt"]
    report = run(Composer().job([*words, "target=same_period_return", "audit=off"]).experiment)
    *account, line = sections(report)["Data"]
    assert list(report.account) == account
    assert line.startswith("The standard deviation of mkt is ")
    assert line in of_run(report, tmp_path, "")["reading"]
    page.write(report, tmp_path, {})
    assert "The standard deviation of mkt" in (tmp_path / "report.html").read_text()


def test_a_sweep_says_it_once_and_of_how_many_jobs() -> None:
    """As the comparison of a sweep tells it on its page and in the terminal."""
    jobs = [
        SimpleNamespace(about={"notes": notes}) for notes in (["One.", "Two."], ["One."], ["One."])
    ]
    assert caveats._data(SimpleNamespace(outcomes=jobs)) == ["One.", "Two. (In 1 of 3 jobs.)"]  # type: ignore[arg-type]
    older = [SimpleNamespace(about={})]  # logged by a version that noted nothing
    assert caveats._data(SimpleNamespace(outcomes=older)) == []  # type: ignore[arg-type]


# No false alarms


@pytest.mark.parametrize(
    "words",
    [
        "data=french",
        "data=arch",
        'data=arch +data.macro.vix="^VIX"',
        "data=simulated +data.macro.vix=VIX +data.macro.tlt=TLT",
        "data=simulated data.seed=7 data.assets=200",
        "data=simulated_minutes",
        "data=simulated_factors",
        "data=simulated_factors data.assets=100 data.factors=5 data.rows=1000",
    ],
)
def test_no_shipped_data_looks_wrong(words: str) -> None:
    words = f"experiment=none features=none target=same_period_return {words}"
    job = Composer().job(words.split())
    market = job.experiment.market()
    assert (market.notes, market.blanked) == ((), ())


COLUMNS: dict[str, str | None] = {
    "date": "Date",
    "asset": "Ticker",
    "close": "AdjClose",
    "volume": "Volume",
}


def test_no_false_alarm_on_real_stocks(stocks: Path) -> None:
    macro = {"vix": "^VIX", "tlt": "TLT", "dxy": "DX-Y.NYB"}
    market = admitted(File(str(stocks), COLUMNS, market="SPY", macro=macro).load(), 0.02)
    assert (market.notes, market.blanked) == ((), ())
