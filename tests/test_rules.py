"""What may enter a run: rules for values, the loss that stops it, and the cells of the panel that a rule cost."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from runner import targets
from runner.cli.composition import Composer
from runner.data.market import Market
from runner.data.notices import Dropped
from runner.data.rules import admitted
from runner.data.sources.file import File
from runner.errors import DataError, SpecError
from runner.experiment.report import Report
from runner.experiment.run import run
from runner.experiment.spec import build
from runner.features import functions as features
from runner.features.expressions import Expression
from runner.panels.building import build_panel
from runner.panels.panel import Panel

EXACT = 1e-12  # the same arithmetic in another order, on numbers of size one
SLOPE = 5e-5  # the case gives its slopes to four digits
T, NAMES = 60, ["A", "B", "C"]
DATES = pd.bdate_range("2020-01-01", periods=T, name="date")
CODES = [-66.0, -77.0, -88.0, -99.0, -99.99]


def frame(cells: np.ndarray, names: list[str] = NAMES) -> pd.DataFrame:
    return pd.DataFrame(cells, index=DATES, columns=names)


def drawn(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.01, 0.05, (T, len(NAMES)))


def of_returns(ret: np.ndarray, **series: np.ndarray) -> Market:
    return Market("here", {"ret": frame(ret)}, pd.DataFrame(series, index=DATES))


def prices(returns: np.ndarray) -> np.ndarray:
    return 50.0 * np.cumprod(1.0 + returns, axis=0)


def account(market: Market | Panel) -> dict[str, int]:
    return {one.reason: one.rows for one in market.dropped}


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(DataError) as caught:
        call()
    [line] = caught.value.mistakes
    return line


# Values


def test_returns_below_a_total_loss_are_codes_and_counted() -> None:
    ret = drawn()
    expected = ret.copy()
    for row, code in enumerate(CODES):
        ret[3 * row, row % 3], expected[3 * row, row % 3] = code, np.nan
    ret[40, 0], expected[40, 0] = -1.0, -1.0  # a total loss is a return
    ret[41, 1], expected[41, 1] = np.inf, np.nan
    market = admitted(of_returns(ret), 0.05)
    np.testing.assert_array_equal(market.returns(), expected)
    assert market.dropped == (
        Dropped("source value", "ret is infinite", 1),
        Dropped("source value", "ret is below -1: a code, not a return", len(CODES)),
    )
    assert (
        pickle.loads(pickle.dumps(market)).fingerprint == market.fingerprint
    )  # markets are shared as files


def test_the_arrays_of_a_source_are_not_written_to() -> None:
    ret = drawn()
    ret[5, 1] = -99.0
    source = of_returns(ret)
    admitted(source, 0.05)
    assert source.fields["ret"].iloc[5, 1] == -99.0


def test_only_prices_of_assets_must_be_positive() -> None:
    close = prices(drawn())
    close[7, 2], close[8, 2] = 0.0, -3.5
    level = np.sin(np.arange(T))
    series = pd.DataFrame(
        {"spread": level, "rate": np.where(np.arange(T) % 2, 0.0, 1e-4)}, index=DATES
    )
    index = pd.Series(prices(drawn(1))[:, 0], index=DATES, name="MKT")
    market = admitted(
        Market("here", {"close": frame(close), "earnings": frame(-close)}, series, index), 0.02
    )
    np.testing.assert_array_equal(market.series, series)
    np.testing.assert_array_equal(market.get("earnings"), -close)
    assert np.isnan(market.get("close").to_numpy()).sum() == 2
    assert account(market) == {"close is zero or negative": 2}
    bad = index.copy()
    bad.iloc[[3, 4]] = -bad.iloc[[3, 4]]
    line = refused(
        lambda: admitted(Market("here", {"close": frame(prices(drawn()))}, series, bad), 0.02)
    )
    assert line.startswith(
        "data: close of MKT: 2 of its 60 values (3.3%) are zero or negative; they may be returns,"
    )


@pytest.mark.parametrize("lost", [3, 4])
def test_a_loss_above_the_share_stops_the_run(lost: int) -> None:
    """2 % of the 179 values that there are is 3.58: a missing one is no value that a rule could take."""
    ret = drawn()
    ret[59, 2] = np.nan
    ret[:lost, 0] = -99.0
    if lost == 3:
        assert account(admitted(of_returns(ret), 0.02)) == {
            "ret is below -1: a code, not a return": 3
        }
        return
    line = refused(lambda: admitted(of_returns(ret), 0.02))
    assert line == (
        "data: ret: 4 of its 179 values (2.2%) are below -1; they may be returns in per cent (data.percent=true divides them by 100), "
        "or codes of missing returns such as -99; allowed: at most 2.0% (data.allow_loss=0.03 goes on without them)"
    )
    assert account(admitted(of_returns(ret), 0.03)) == {"ret is below -1: a code, not a return": 4}


def test_every_column_that_loses_too_much_is_told_at_once() -> None:
    ret, size = drawn(), np.ones((T, 3))
    ret[:30] = -50.0
    size[:9] = np.inf
    market = Market("here", {"ret": frame(ret), "size": frame(size)}, pd.DataFrame(index=DATES))
    with pytest.raises(DataError) as caught:
        admitted(market, 0.1)
    assert [line.split(":")[1].strip() for line in caught.value.mistakes] == ["ret", "size"]
    assert admitted(market, 0.5).get("ret").isna().to_numpy().sum() == 90


# One rule for returns


def test_with_price_and_return_every_return_is_that_of_the_data(tmp_path: Path) -> None:
    """A 2-for-1 split halves the price on row 30 and is no return."""
    ret = drawn(2)
    close = prices(ret)
    close[30:, 0] /= 2.0
    table = pd.DataFrame(
        [
            {"Date": day, "Ticker": name, "Close": close[t, i], "Ret": ret[t, i]}
            for t, day in enumerate(DATES)
            for i, name in enumerate(NAMES)
        ]
    )
    path = tmp_path / "both.parquet"
    table.to_parquet(path)
    columns: dict[str, str | None] = {
        "date": "Date",
        "asset": "Ticker",
        "close": "Close",
        "ret": "Ret",
    }
    market = admitted(File(str(path), columns, market="A", assets=NAMES).load(), 0.02)
    assert market.notes == ("Returns are those of ret, not changes of close.",)
    np.testing.assert_array_equal(market.returns(), ret)
    over_five = (
        pd.DataFrame(ret)
        .rolling(5)
        .apply(lambda window: np.prod(1.0 + window) - 1.0, raw=True)
        .to_numpy()
    )
    for name, found in {
        "returns": market.returns(5),
        "momentum": features.momentum(market, window=5),
        "expression": Expression("compound(ret, 5)")(market),
    }.items():
        np.testing.assert_allclose(found, over_five, rtol=0, atol=EXACT, err_msg=name)
    ahead = targets.forward_return(market, horizon=5).values
    np.testing.assert_allclose(ahead, pd.DataFrame(over_five).shift(-5), rtol=0, atol=EXACT)
    np.testing.assert_array_equal(features.market_return(market), ret[:, 0])
    np.testing.assert_array_equal(Expression("market_ret")(market), ret[:, 0])
    own = features.beta(market, window=20)["A"].dropna()
    np.testing.assert_allclose(
        own, 1.0, rtol=0, atol=1e-9
    )  # of the market on itself, by rolling sums
    np.testing.assert_array_equal(market.get("close"), close)  # what names the price has the price
    monthly = targets.same_period_return(market, frequency="month").values
    by_month = (
        pd.DataFrame(1.0 + ret, DATES).groupby([DATES.year, DATES.month]).prod().to_numpy() - 1.0
    )
    np.testing.assert_allclose(monthly[1:2], by_month[1:2], rtol=0, atol=EXACT)
    np.testing.assert_allclose(
        features.market_return(market, frequency="month")[1:2], by_month[1:2, 0], rtol=0, atol=EXACT
    )
    squares = pd.DataFrame(ret**2).rolling(4).sum().to_numpy()
    np.testing.assert_allclose(features.realised_volatility(market, window=4, rows_per_year=252),
                               np.sqrt(252 / 4 * squares), rtol=0, atol=EXACT)  # fmt: skip


@pytest.mark.parametrize("name", ["close", "ret"])
def test_prices_or_returns_without_any_value_are_refused(name: str) -> None:
    nothing = Market("here", {name: frame(drawn() * np.nan)}, pd.DataFrame(index=DATES))
    assert refused(lambda: admitted(nothing, 1.0)) == (
        f"data: {name}: no asset-date has a value; data.columns.{name}=COLUMN reads "
        f"another column, data.assets=[...] other assets"
    )


# Levels that may cross zero


def test_a_relative_change_across_zero_is_missing_with_its_reason() -> None:
    level = np.linspace(1.0, -1.0, T) + 1e-9
    first = int(np.argmax(level <= 0.0))  # from here on never positive
    market = admitted(of_returns(drawn(), spread=level), 0.02)
    change = features.change(market, series="spread")
    np.testing.assert_array_equal(change.notna(), (np.arange(T) > 0) & (np.arange(T) < first))
    np.testing.assert_array_equal(Expression("change(spread, 1)")(market), change)
    target = partial(targets.same_period_return)
    both = {"chg": partial(features.change, series="spread"), "diff": Expression("diff(spread)")}
    line = refused(lambda: build_panel(market, both, target))
    assert line.startswith(
        f"features.chg: spread is zero or negative on {T - first} of its {T} rows (50.0%)"
    )
    assert "diff(spread)" in line and "data.allow_loss=0.5 goes on" in line
    panel = build_panel(market, both, target, allow_loss=0.5)
    assert account(panel) == {
        "chg is missing": 3,
        "chg has no value where spread was zero or negative": 3 * (T - first),
    }
    only_diff = build_panel(market, {"diff": both["diff"]}, target)
    assert account(only_diff) == {"diff is missing": 3}


def test_a_series_as_it_is_may_be_negative_without_a_word() -> None:
    market = admitted(of_returns(drawn(), mkt=drawn(1)[:, 0]), 0.02)
    panel = build_panel(
        market, {"mkt": partial(features.shared, series="mkt")}, targets.same_period_return
    )
    assert panel.dropped == () and panel.notes == () and panel.valid.all()


# The risk-free rate


@pytest.mark.parametrize("rate", [0.21, 4.25, 100.0])
def test_a_level_is_no_risk_free_rate(rate: float) -> None:
    market = of_returns(drawn(), RF=np.full(T, rate))
    for target in (targets.same_period_return, partial(targets.forward_return, horizon=3)):
        line = refused(
            lambda target=target: build_panel(market, {}, partial(target, risk_free="RF"))
        )
        assert line.startswith(
            f"target: risk_free=RF: its median is {rate:.4g} a row; allowed: a rate per row in dec"
        )


def test_a_rate_of_zero_or_below_is_one() -> None:
    for rate in (np.where(np.arange(T) % 2, 0.0, 1e-4), np.full(T, -0.0002)):
        market = admitted(of_returns(drawn(), RF=rate), 0.02)
        panel = build_panel(market, {}, partial(targets.same_period_return, risk_free="RF"))
        np.testing.assert_allclose(panel.y, drawn() - rate[:, None], rtol=0, atol=EXACT)
        assert panel.valid.all()


# Cells that a rule cost


def test_cells_lost_to_a_rule_say_so_and_only_those() -> None:
    """By hand: asset A lost rows 10 and 11, B row 20; a sum of 4 rows loses those and the 3 rows after."""
    ret = drawn()
    ret[[10, 11], 0], ret[20, 1], ret[[30, 31], 2] = -99.0, -88.0, np.nan
    market = admitted(of_returns(ret), 0.02)
    panel = build_panel(
        market, {"sum4": Expression("sum(ret, 4)")}, partial(targets.forward_return, horizon=1)
    )
    assert account(panel) == {
        "ret is below -1: a code, not a return": 3,
        # the target of row t is the return of row t + 1: missing on 29 and 30 of C and on the last row of each
        "target is missing": 2 + 3,
        "target has no value where ret was below -1": 3,
        # A: rows 10..14 less 10, whose target is lost already; B: rows 20..23
        "sum4 has no value where ret was below -1": 4 + 4,
        # the first three rows of each; C: rows 31..34 (30 has no target)
        "sum4 is missing": 3 * 3 + 4,
    }
    assert panel.dropped_cells == 3 + 5 + 8 + 13


def test_each_rule_is_named_for_its_own_cells() -> None:
    close, volume = prices(drawn()), np.full((T, 3), 1e6)
    close[10, 0], volume[20, 0], volume[30, 1] = -1.0, np.inf, np.inf
    market = Market(
        "here", {"close": frame(close), "volume": frame(volume)}, pd.DataFrame(index=DATES)
    )
    market = admitted(market, 0.02)
    columns = {
        "surprise": partial(features.volume_surprise, window=2),
        "ratio": Expression("volume / close"),
    }
    panel = build_panel(market, columns, targets.same_period_return)
    found = account(panel)
    assert found["target has no value where close was zero or negative"] == 2
    assert found["surprise has no value where volume was infinite"] == 2 + 2
    assert (
        "ratio has no value where close was zero or negative" not in found
    )  # the target was lost first
    assert found["target is missing"] == 3 and "surprise is missing" not in found


def test_a_series_that_a_rule_blanked_costs_every_asset() -> None:
    rate = np.full(T, 1e-4)
    rate[12] = np.inf
    market = admitted(of_returns(drawn(), RF=rate), 0.02)
    panel = build_panel(market, {}, partial(targets.same_period_return, risk_free="RF"))
    assert account(panel) == {"RF is infinite": 1, "target has no value where RF was infinite": 3}


def test_a_weight_that_a_rule_blanked_says_so() -> None:
    size = np.ones((T, 3))
    size[5, 0], size[6, 1], size[7, 2] = np.inf, np.nan, -2.0
    fields = {"ret": frame(drawn()), "size": frame(size)}
    market = admitted(Market("here", fields, pd.DataFrame(index=DATES)), 0.02)
    panel = build_panel(market, {}, targets.same_period_return, weights="size")
    assert account(panel) == {
        "size is infinite": 1,
        "its weight, size, is missing or not positive": 2,
        "model.weights has no value where size was infinite": 1,
    }


def test_a_feature_that_needs_every_asset_is_computed_on_all() -> None:
    ret = drawn()
    ret[10, 0] = -99.0

    def against_b(market: Market) -> pd.DataFrame:
        return market.returns().sub(market.returns()["B"], axis=0)  # raises without B

    panel = build_panel(
        admitted(of_returns(ret), 0.02),
        {"b": against_b},
        partial(targets.forward_return, horizon=2),
    )
    assert account(panel)["b has no value where ret was below -1"] == 1


def test_a_weekly_target_names_the_rule_too() -> None:
    close = prices(drawn())
    friday = int(np.flatnonzero(DATES.day_of_week == 4)[3])
    close[friday, 1] = 0.0
    market = Market("here", {"close": frame(close)}, pd.DataFrame(index=DATES))
    target = partial(targets.forward_return, frequency="week")
    panel = build_panel(admitted(market, 0.02), {}, target)
    assert account(panel)["target has no value where close was zero or negative"] == 2


# From the spec


def test_the_share_is_a_key_of_any_source() -> None:
    spec = (
        Composer().job(["experiment=none", "features=ff3", "target=excess_return"]).experiment.spec
    )
    assert spec["data"]["allow_loss"] == 0.02
    for share, expected in ((0.5, 0.5), (0, 0.0), (1, 1.0)):
        assert build({**spec, "data": {**spec["data"], "allow_loss": share}}).allow_loss == expected
    for wrong in (1.5, -0.1, "much", None, True):
        with pytest.raises(SpecError) as caught:
            build({**spec, "data": {**spec["data"], "allow_loss": wrong}})
        assert caught.value.mistakes[0].startswith("data.allow_loss: "), caught.value.mistakes
    for source in (
        "simulated",
        "simulated_factors",
        "arch",
        "yahoo data.assets=[AAPL]",
        "file data.path=x.csv",
    ):
        words = [
            "experiment=none",
            "features=none",
            "target=same_period_return",
            *f"data={source}".split(),
        ]
        assert Composer().job([*words, "data.allow_loss=0.1"]).experiment.allow_loss == 0.1


def ran(*words: str) -> Report:
    return run(
        Composer()
        .job(["experiment=none", "data=file", "report=tables", "audit=off", *words])
        .experiment
    )


CRSP = [
    "data.columns.date=date",
    "data.columns.asset=PERMNO",
    "data.columns.close=null",
    "data.columns.volume=null",
]
CRSP += ["+data.columns.ret=RET", "+data.columns.mkt=VWRETD", "features=none", "+features.mkt=mkt"]
CRSP += ["target=same_period_return"]


@pytest.fixture(scope="module")
def crsp() -> pd.DataFrame:
    """Four stocks, 60 months, betas .8 to 1.4, as CRSP writes them."""
    rng = np.random.default_rng(1)
    days = pd.date_range("2000-01-31", periods=60, freq="BME")
    market = rng.normal(0.008, 0.04, 60)
    rows = []
    for k, permno in enumerate([10107, 14593, 84788, 12490]):
        ret = 0.001 + (0.8 + 0.2 * k) * market + rng.normal(0, 0.03, 60)
        rows += [
            [permno, f"{d:%Y%m%d}", f"{r:.6f}", f"{m:.6f}"]
            for d, r, m in zip(days, ret, market, strict=True)
        ]
    return pd.DataFrame(rows, columns=["PERMNO", "date", "RET", "VWRETD"])


def slopes(table: pd.DataFrame) -> dict[str, float]:
    """By numpy, from the rows whose return is a number not below -1."""
    numbers = pd.to_numeric(table["RET"], errors="coerce")
    kept = table.assign(RET=numbers, VWRETD=table["VWRETD"].astype(float))[numbers >= -1.0]
    return {
        str(p): np.polyfit(rows["VWRETD"], rows["RET"], 1)[0] for p, rows in kept.groupby("PERMNO")
    }


@pytest.mark.parametrize(
    ("codes", "reason"),
    [
        ({5: "-66.0", 65: "-99.0", 130: "-88.0"}, "ret is below -1: a code, not a return"),
        (
            {0: "C", 60: "C", 120: "C", 180: "C", 70: "B"},
            "ret is a letter: a code of a missing value",
        ),
        ({}, ""),
    ],
)
def test_codes_of_crsp(
    tmp_path: Path, crsp: pd.DataFrame, codes: dict[int, str], reason: str
) -> None:
    table = crsp.copy()
    table.loc[list(codes), "RET"] = list(codes.values())
    table.to_csv(tmp_path / "crsp.csv", index=False)
    report = ran(f"data.path={tmp_path / 'crsp.csv'}", *CRSP)
    rows = report.fit.coefficients.query("term == 'mkt' and scope == 'asset'").set_index("unit")[
        "estimate"
    ]
    for permno, slope in slopes(table).items():
        assert rows[permno] == pytest.approx(slope, abs=EXACT)
    assert report.metrics["fit/n_obs"] == 240 - len(codes)
    if codes:
        assert account(report.panel)[reason] == len(codes)


def test_letters_without_a_number_and_other_words_are_refused(
    tmp_path: Path, crsp: pd.DataFrame
) -> None:
    for letters, row in ((["C"] * 240, 1), (["AB", *crsp["RET"][1:]], 1)):
        crsp.assign(RET=letters).to_csv(tmp_path / "crsp.csv", index=False)
        line = refused(lambda: ran(f"data.path={tmp_path / 'crsp.csv'}", *CRSP))
        assert f"column 'RET' has {letters[0]!r} in row {row}" in line and line.endswith(
            "allowed: a number"
        )


def test_returns_in_per_cent_and_returns_as_prices_stop_the_run(
    tmp_path: Path, crsp: pd.DataFrame
) -> None:
    ret = crsp["RET"].astype(float)
    path = tmp_path / "crsp.csv"
    crsp.assign(RET=100.0 * ret).to_csv(path, index=False)
    line = refused(lambda: ran(f"data.path={path}", *CRSP))
    lost = int((100.0 * ret < -1.0).sum())
    assert line.startswith(
        f"data: ret: {lost} of its 240 values ({lost / 240:.1%}) are below -1; they may be returns in "
    )
    crsp.to_csv(path, index=False)
    as_price = [word for word in CRSP if "close" not in word and "ret=RET" not in word]
    line = refused(lambda: ran(f"data.path={path}", *as_price, "data.columns.close=RET"))
    lost = int((ret <= 0.0).sum())
    assert (
        line.startswith(f"data: close: {lost} of its 240 values")
        and "returns, rates or spreads given as prices" in line
    )


@pytest.mark.parametrize("name", ["prices.csv", "prices.parquet"])
def test_names_are_stripped_of_spaces_and_it_is_said(tmp_path: Path, name: str) -> None:
    half, close = T // 2, prices(drawn())
    table = pd.DataFrame(
        {" Date": DATES, "Ticker ": ["AAPL"] * half + ["AAPL "] * half, "Close": close[:, 0]}
    )
    other = pd.DataFrame({" Date": DATES, "Ticker ": "\tMSFT", "Close": close[:, 1]})
    path = tmp_path / name
    table = pd.concat([table, other])
    table.to_csv(path, index=False) if name.endswith("csv") else table.to_parquet(path)
    columns: dict[str, str | None] = {"date": "Date", "asset": "Ticker", "close": "Close "}
    market = File(str(path), columns).load()
    assert market.assets == ["AAPL", "MSFT"]
    np.testing.assert_allclose(market.get("close"), close[:, :2], rtol=EXACT)
    assert market.notes == (
        r"Names of assets are stripped of spaces: 'AAPL ' is AAPL, '\tMSFT' is MSFT.",
    )
    assert File(str(path), columns, assets=["MSFT"]).load().notes == (
        r"Names of assets are stripped of spaces: '\tMSFT' is MSFT.",
    )


def test_names_that_collide_without_their_spaces_conflict(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"Date": DATES[:1].repeat(2), "Ticker": ["AAPL", "AAPL "], "Close": [1.0, 2.0]}
    )
    columns: dict[str, str | None] = {"date": "Date", "asset": "Ticker", "close": "Close"}
    path = tmp_path / "twice.csv"
    table.to_csv(path, index=False)
    assert "1 row repeats a date and asset with other values, first AAPL on" in refused(
        File(str(path), columns).load
    )
    table.assign(Close=1.0).rename(columns={"Close": "Close "}).assign(Close=1.0).to_csv(
        path, index=False
    )
    assert "column 'Close' is there 2 times" in refused(File(str(path), columns).load)


def test_names_that_differ_in_case_are_told_apart(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"Date": DATES[:1].repeat(3), "Ticker": ["MSFT", "msft", "A"], "Close": 1.0}
    )
    table.to_csv(tmp_path / "case.csv", index=False)
    columns: dict[str, str | None] = {"date": "Date", "asset": "Ticker", "close": "Close"}
    market = File(str(tmp_path / "case.csv"), columns).load()
    assert market.notes == ("Names that differ in case alone are different assets: MSFT, msft.",)


def test_a_spread_below_zero_for_half_of_the_time(tmp_path: Path) -> None:
    """Against numpy: all rows but the first, whatever the sign of the spread."""
    rng = np.random.default_rng(3)
    spread = np.cos(np.arange(T) / T * 2 * np.pi) + rng.normal(0, 0.05, T)
    moved = np.diff(spread, prepend=spread[0])
    market = rng.normal(0, 0.01, T)
    columns = {"SPREAD": spread, "MKT": 100 * np.cumprod(1 + market)}
    columns["AAA"] = 50 * np.cumprod(1 + market + 0.02 * moved + rng.normal(0, 0.005, T))
    wide = pd.DataFrame(columns, index=pd.Index(DATES, name="Date"))
    wide.reset_index().melt("Date", var_name="Ticker", value_name="Close").to_csv(
        tmp_path / "p.csv", index=False
    )
    report = ran(
        f"data.path={tmp_path / 'p.csv'}",
        "data.columns.close=Close",
        "data.columns.volume=null",
        "data.market=MKT",
        "+data.macro.spread=SPREAD",
        "features=market",
        "+features.change='diff(spread)'",
        "target=same_period_return",
    )
    read = pd.read_csv(tmp_path / "p.csv").pivot(index="Date", columns="Ticker", values="Close")
    r = read[["AAA", "MKT"]].pct_change(fill_method=None)
    x = np.column_stack([np.ones(T - 1), r["MKT"][1:], read["SPREAD"].diff()[1:]])
    expected = np.linalg.lstsq(x, r["AAA"][1:].to_numpy(), rcond=None)[0]
    estimates = report.fit.coefficients.set_index("term")["estimate"]
    np.testing.assert_allclose(estimates[["const", "market_ret", "change"]], expected, rtol=1e-9)
    assert report.metrics["fit/n_obs"] == T - 1
    assert account(report.panel) == {"target is missing": 1}


def test_the_code_of_a_missing_return_of_french_is_none(tmp_path: Path) -> None:
    months = [f"{year}{month:02}" for year in range(2000, 2010) for month in range(1, 13)]
    rows = [f"{month},{k % 7 - 3}.5,{k % 5 - 2}.25" for k, month in enumerate(months)]
    rows[3] = f"{months[3]},-99.99,1.5"
    path = tmp_path / "f.csv"
    path.write_text(",Food,Beer\n" + "\n".join(rows) + "\n")
    source = File(str(path), {}, values="ret", percent=True)
    market = admitted(source.load(), 0.02)
    assert np.isnan(market.get("ret").iloc[3]["Food"])
    assert [line.rows for line in market.dropped if "-99.99 %" in line.reason] == [1]
    with pytest.raises(DataError, match=r"-99\.99 %; they may be codes .*data\.allow_loss"):
        admitted(source.load(), 0.0)


def with_level(values: list[float], kind: str | None = None) -> Market:
    """Monthly returns of one asset and a level beside them, by asset and by date."""
    months = pd.date_range("2015-01-31", periods=len(values), freq="ME", name="date")
    returns = np.random.default_rng(0).normal(0.0, 0.05, (len(values), 1))
    fields = {
        "ret": pd.DataFrame(returns, months, ["A"]),
        "level": pd.DataFrame({"A": values}, months),
    }
    series = pd.DataFrame({"liquidity": values}, months)
    kinds = {} if kind is None else {"level": kind, "liquidity": kind}
    return Market("here", fields, series, kinds=kinds)


@pytest.mark.parametrize("code", [-99.0, -99.99, -999.0, -9999.0])
def test_a_code_far_below_every_other_number_is_a_missing_value(code: float) -> None:
    values = [0.5, -0.3, code, 0.1, 2.0, np.nan, code, -1.0]
    market = admitted(with_level(values), 0.3)
    known = ~np.isin(values, code)
    for column in (market.get("level")["A"], market.shared("liquidity")):
        np.testing.assert_array_equal(column[known], np.array(values)[known])
        assert column[~known].isna().all()
    counted = {line.reason: line.rows for line in market.dropped}
    of_code = "is a code of a missing value, such as -99"
    assert counted == {f"level {of_code}": 2, f"liquidity {of_code}": 2}
    with pytest.raises(DataError, match=r"liquidity: 2 of its 7 values .*data\.allow_loss=0\.29"):
        admitted(with_level(values), 0.02)


def test_several_codes_of_one_column_are_all_missing_values() -> None:
    market = admitted(with_level([0.5, -99.0, -999.0, 2.0, -99.99]), 0.9)
    np.testing.assert_array_equal(market.shared("liquidity"), [0.5, np.nan, np.nan, 2.0, np.nan])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0.5, -99.0, 12.0], None),  # others are not small beside it
        ([-99.0, -99.0, -99.0], None),  # there are no others
        ([0.5, -98.0, 1.0], None),  # no usual code
        ([0.5, -99.0, 1.0], "level"),  # the spec says that any number counts
        ([0.5, -99.0, -150.0], None),
    ],
)
def test_a_number_that_may_be_meant_is_no_code(values: list[float], kind: str | None) -> None:
    market = admitted(with_level(values, kind), 0.0)
    np.testing.assert_array_equal(market.shared("liquidity"), values)
    np.testing.assert_array_equal(market.get("level")["A"], values)
