"""Look-ahead of every kind that a stranger could plant, and odd columns that are none.

Where a kind is said to be caught by the quick audit, that of every run, three seeds of it have to catch it; the
others are caught by the thorough one. What no comparison of values can prove is warned of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from runner.data.market import Market
from runner.data.sources.simulation.simulated import Simulated
from runner.errors import DataError
from runner.experiment.auditing.audit import Audit, audit
from runner.experiment.run import run, thoroughly_audited
from runner.experiment.settings import Settings
from runner.experiment.spec import Experiment
from runner.models.regression import Regression
from runner.panels.building import build_panel
from runner.panels.panel import Panel
from runner.targets import Target, forward_return
from runner.validation.cross_validation import KFold
from runner.validation.folds import Fold
from runner.validation.splitters import HoldOut, NoValidation, WalkForward

QUICK, THOROUGH = "quick", "thorough"
SEEDS = (1, 2, 3)
SOURCE = Simulated(
    assets=60, rows=1300, start="2015-01-01", macro={"vix": "^VIX"}, gaps=0.01, churn=0.2
)
MARKET = SOURCE.load()


def past(market: Market) -> pd.DataFrame:
    return market.returns(5)


def experiment(features: dict[str, Callable[..., Any]], seed: int = 1, **parts: Any) -> Experiment:
    target = parts.pop("target", forward_return)
    model, splitter = parts.pop("model", Regression()), parts.pop("splitter", NoValidation())
    settings = Settings("planted", audit_seed=seed)
    return Experiment(settings, SOURCE, features, target, model, splitter, {}, **parts)


def of_columns(mode: str, seed: int = 1, market: Market = MARKET, **parts: Any) -> Audit:
    """The audit of features and target, those of a run or of the command `audit`."""
    features = parts.pop("features", {"past": past})
    planted = experiment(features, seed, **parts)
    panel = (
        build_panel(market, planted.features, planted.target, planted.steps)
        if mode == QUICK
        else None
    )
    return audit(planted, market, thorough=mode == THOROUGH, panel=panel)


# --- features -----------------------------------------------------------------------------------------------------


def tomorrow(market: Market) -> pd.DataFrame:
    return market.returns().shift(-1)


def only_where(market: Market, rows: Any) -> pd.DataFrame:
    """The return of today, and on some rows that of tomorrow."""
    chosen = pd.Series(rows, index=market.dates)
    return market.returns().mask(chosen, tomorrow(market))


def fridays_only(market: Market) -> pd.DataFrame:
    return only_where(market, market.dates.day_of_week == 4)


def month_ends_only(market: Market) -> pd.DataFrame:
    last = market.dates + pd.offsets.BMonthEnd(0) == market.dates
    return only_where(market, last)


def quarter_ends_only(market: Market) -> pd.DataFrame:
    last = market.dates + pd.offsets.BQuarterEnd(0) == market.dates
    return only_where(market, last)


def one_asset_of_sixty(market: Market) -> pd.DataFrame:
    values = market.returns()
    if "S0037" in values:
        values["S0037"] = values["S0037"].shift(-1)
    return values


def before_2018_only(market: Market) -> pd.DataFrame:
    return only_where(market, market.dates.year < 2018)


def only_with_more_than_a_thousand_rows(market: Market) -> pd.DataFrame:
    return tomorrow(market) if len(market.dates) > 1000 else market.returns()


def crash_days(market: Market) -> pd.DataFrame:
    """On days of large losses, tomorrow's rebound."""
    returns = market.returns()
    return returns.mask(returns < -0.06, returns.shift(-1))


def days_before_crashes(market: Market) -> pd.DataFrame:
    returns = market.returns()
    return returns.mask(returns.shift(-1) < -0.06, returns.shift(-1))


def every_eleventh_row(market: Market) -> pd.DataFrame:
    return only_where(market, np.arange(len(market.dates)) % 11 == 0)


def every_29th_row(market: Market) -> pd.DataFrame:
    return only_where(market, np.arange(len(market.dates)) % 29 == 0)


def honest_where_the_data_jump(market: Market) -> pd.DataFrame:
    """Looks ahead unless returns look as if someone had changed the data."""
    returns = market.returns()
    changed = returns.abs().max().max() > 0.6
    return returns if changed else returns.shift(-1)


def honest_on_a_sample(market: Market) -> pd.DataFrame:
    """Looks ahead only on all assets that there are: a sample of them shows nothing."""
    return market.returns() if len(market.assets) < 60 else tomorrow(market)


def honest_where_data_end_early(market: Market) -> pd.DataFrame:
    full = market.dates[-1] == MARKET.dates[-1]
    return tomorrow(market) if full else market.returns()


FEATURES = {
    fridays_only: QUICK,
    month_ends_only: QUICK,
    quarter_ends_only: QUICK,
    one_asset_of_sixty: THOROUGH,
    before_2018_only: QUICK,
    only_with_more_than_a_thousand_rows: QUICK,
    crash_days: QUICK,
    days_before_crashes: QUICK,
    every_eleventh_row: QUICK,
    every_29th_row: THOROUGH,
    honest_where_the_data_jump: QUICK,
    honest_on_a_sample: QUICK,
    honest_where_data_end_early: QUICK,
}


@pytest.mark.parametrize("planted", FEATURES, ids=lambda planted: planted.__name__)
def test_a_feature_that_looks_ahead_now_and_then_is_caught(
    planted: Callable[[Market], Any],
) -> None:
    mode = FEATURES[planted]
    for seed in SEEDS if mode == QUICK else SEEDS[:1]:
        result = of_columns(mode, seed, features={"past": past, "planted": planted})
        assert {text.split(":")[0] for text in result.leaks} == {"features.planted"}, seed


# --- targets ------------------------------------------------------------------------------------------------------


def month_end_target_of_22_rows(market: Market) -> Target:
    """Says 21 rows, and takes 22 at month ends."""
    last = pd.Series(market.dates + pd.offsets.BMonthEnd(0) == market.dates, index=market.dates)
    usual = market.returns(21).shift(-21)
    return Target(usual.mask(last, market.returns(22).shift(-22)), 21)


def target_of_crashes(market: Market) -> Target:
    """Says one row, and takes two before days of large losses."""
    usual = market.returns().shift(-1)
    return Target(usual.mask(usual < -0.06, market.returns(2).shift(-2)), 1)


@pytest.mark.parametrize(
    ("planted", "line"),
    [
        (month_end_target_of_22_rows, "looks 22 rows ahead, its horizon says 21"),
        (target_of_crashes, "looks 2 rows ahead, its horizon says 1"),
    ],
    ids=lambda given: getattr(given, "__name__", ""),
)
def test_a_target_that_reaches_too_far_now_and_then_is_caught(planted: Any, line: str) -> None:
    for seed in SEEDS:
        assert any(line in text for text in of_columns(QUICK, seed, target=planted).leaks), seed


# --- data from elsewhere ------------------------------------------------------------------------------------------

WHOLE = MARKET.returns().shift(-1)
CACHE: dict[str, pd.DataFrame] = {}


def from_a_closure() -> Callable[[Market], pd.DataFrame]:
    whole = MARKET.returns().shift(-1)

    def closed(market: Market) -> pd.DataFrame:
        return whole.reindex(index=market.dates, columns=market.assets)

    return closed


def from_a_closure_of_the_market() -> Callable[[Market], pd.DataFrame]:
    market_of_then = MARKET

    def closed(market: Market) -> pd.DataFrame:
        whole = market_of_then.returns().shift(-1)
        return whole.reindex(index=market.dates, columns=market.assets)

    return closed


def from_a_default(market: Market, whole: pd.DataFrame = WHOLE) -> pd.DataFrame:
    return whole.reindex(index=market.dates, columns=market.assets)


def from_a_global(market: Market) -> pd.DataFrame:
    return WHOLE.reindex(index=market.dates, columns=market.assets)


def from_a_global_cache(market: Market) -> pd.DataFrame:
    """Remembers what it was given first: the whole data."""
    if "returns" not in CACHE:
        CACHE["returns"] = market.returns().shift(-1)
    return CACHE["returns"].reindex(index=market.dates, columns=market.assets)


class Holder:
    def __init__(self) -> None:
        self.whole = WHOLE

    def __call__(self, market: Market) -> pd.DataFrame:
        return self.whole.reindex(index=market.dates, columns=market.assets)


@pytest.mark.parametrize(
    ("planted", "place"),
    [
        (from_a_closure(), "closure whole"),
        (from_a_closure_of_the_market(), "a market (closure market_of_then)"),
        (from_a_default, "default whole"),
        (from_a_global, "global WHOLE"),
        (from_a_global_cache, "element 'returns'"),
        (Holder(), "attribute whole"),
    ],
    ids=lambda given: getattr(given, "__name__", type(given).__name__) if callable(given) else "",
)
def test_data_that_a_feature_holds_are_warned_of(planted: Any, place: str) -> None:
    CACHE.clear()
    result = of_columns(QUICK, features={"past": past, "planted": planted})
    [warning] = result.warnings
    assert (
        warning.startswith("features.planted: takes data from outside the market: ")
        and place in warning
    )
    assert any(text.startswith("Warning: features.planted") for text in result.words)
    if planted is not from_a_global_cache:
        assert result.leaks == [] and result.without_data == ("features.planted",)


@pytest.mark.parametrize("read", ["csv", "parquet", "open"])
def test_a_file_that_a_feature_reads_is_warned_of(read: str, tmp_path: Path) -> None:
    path = tmp_path / f"whole.{read}"
    WHOLE.to_parquet(path) if read == "parquet" else WHOLE.to_csv(path)

    def by_csv(market: Market) -> pd.DataFrame:
        return pd.read_csv(path, index_col=0, parse_dates=True).reindex(market.dates)[market.assets]

    def by_parquet(market: Market) -> pd.DataFrame:
        return pd.read_parquet(path).reindex(market.dates)[market.assets]

    def by_open(market: Market) -> pd.DataFrame:
        lines = path.read_text().splitlines()[1:]
        numbers = [float(line.split(",")[1] or "nan") for line in lines]
        return pd.Series(numbers, index=MARKET.dates).reindex(market.dates).to_frame("S0001")

    planted = {"csv": by_csv, "parquet": by_parquet, "open": by_open}[read]
    if read == "open":
        inner = planted

        def planted(market: Market) -> pd.Series:
            return inner(market)["S0001"]

    result = of_columns(QUICK, features={"past": past, "planted": planted})
    [warning] = result.warnings
    expected = "read_parquet" if read == "parquet" else str(path)
    assert warning.startswith("features.planted") and expected in warning


# --- splitters and models -----------------------------------------------------------------------------------------

SMALL = Simulated(assets=8, rows=400, churn=0.0)
FOUR = WalkForward(first=200, test=50)


def of_model(model: Any, splitter: Any = FOUR, mode: str = QUICK, seed: int = 1) -> Audit:
    features = {"past": past, "volatility": lambda market: market.returns().rolling(10).std()}
    settings = Settings("planted", audit_seed=seed)
    planted = Experiment(settings, SMALL, features, forward_return, model, splitter, {})
    if mode == THOROUGH:
        return thoroughly_audited(planted)
    market = SMALL.load()
    panel = build_panel(market, planted.features, planted.target)
    folds = splitter.split(panel.dates, panel.horizon)
    return audit(planted, market).with_models(model, panel, folds)


class TrainsOnTestRows:
    def split(self, dates: pd.DatetimeIndex, horizon: int) -> list[Fold]:
        folds = FOUR.split(dates, horizon)
        return [*folds[:-1], folds[-1]._replace(train=np.arange(len(dates)))]


class ForgetsThePurge:
    """Five rows ahead, no row left out, and it does not say so."""

    def split(self, dates: pd.DatetimeIndex, horizon: int) -> list[Fold]:
        return [
            fold._replace(leaking=0)
            for fold in WalkForward(first=200, test=50, purge=0).split(dates, horizon)
        ]


class Overlapping:
    """Folds that choose a penalty and train on what they test."""

    def split(self, dates: pd.DatetimeIndex, horizon: int) -> list[Fold]:
        rows = np.arange(len(dates))
        return [Fold(str(k), rows, rows[k * 20 : k * 20 + 20], rows[:0]) for k in range(3)]


def five_ahead(market: Market) -> Target:
    return forward_return(market, horizon=5)


def test_a_splitter_that_trains_on_test_rows_is_caught() -> None:
    result = of_model(Regression(), TrainsOnTestRows())
    assert any(
        text.startswith("validation: fold 4 trains on rows that it tests; from ")
        for text in result.leaks
    )


def test_a_splitter_that_does_not_purge_and_does_not_say_so_is_caught() -> None:
    planted = experiment({"past": past}, target=five_ahead, splitter=ForgetsThePurge())
    panel = build_panel(MARKET, planted.features, planted.target)
    folds = planted.splitter.split(panel.dates, panel.horizon)
    result = audit(planted, MARKET).with_models(Regression(), panel, folds)
    assert (
        "validation: fold 1 trains on targets over 5 rows that reach into its test rows"
        in result.leaks[0]
    )
    told = WalkForward(first=200, test=50, purge=0).split(panel.dates, panel.horizon)
    assert (
        audit(planted, MARKET).with_models(Regression(), panel, told).leaks == []
    )  # the run is tagged for that


def test_folds_inside_that_train_on_what_they_test_are_caught() -> None:
    result = of_model(Regression(by=None, estimator="ridge", folds=Overlapping()))
    assert any(
        text.startswith("model.folds: fold 0 trains on rows that it tests") for text in result.leaks
    )


class PeeksFromTheSecondFold(Regression):
    def fit_to_forecast(self, panel: Panel, rows: np.ndarray) -> Any:
        every = np.arange(len(panel.dates))
        later = panel.dates[rows[-1]] > pd.Timestamp("2015-12-01")
        return super().fit_to_forecast(panel, every if later else rows)


class SeesTargets(Regression):
    """Predicts the target where it is there."""

    def predict(self, fit: Any, panel: Panel) -> np.ndarray:
        own = super().predict(fit, panel)
        return np.where(np.isfinite(panel.y), 0.5 * own + 0.5 * panel.y, own)


class LevelOfTheTestPart(Regression):
    """Takes the mean of the features off that of all test rows."""

    def predict(self, fit: Any, panel: Panel) -> np.ndarray:
        return super().predict(fit, replace(panel, X=panel.X - np.nanmean(panel.X, axis=(0, 1))))


class PenaltyOfAllRows(Regression):
    """The penalty has the least error on all rows, test rows included."""

    def fit_to_forecast(self, panel: Panel, rows: np.ndarray) -> Any:
        every = np.arange(len(panel.dates))
        chosen = Regression(by=None, estimator="ridge", penalties=20, choice="min").fit(
            panel, every
        )
        penalty = chosen.findings["path"].metrics["penalty"]
        return Regression(by=None, estimator="ridge", penalty=penalty).fit_to_forecast(panel, rows)


class ScaledOnAllRows(Regression):
    def fit_to_forecast(self, panel: Panel, rows: np.ndarray) -> Any:
        known = np.where(panel.valid[:, :, None], panel.X, np.nan)
        scaled = (panel.X - np.nanmean(known, axis=(0, 1))) / np.nanstd(known, axis=(0, 1))
        return super().fit_to_forecast(replace(panel, X=scaled), rows)


class WalksIntoTheFuture(Regression):
    """Refits at every test row, the row itself included."""

    def forecast(self, panel: Panel, fold: Fold) -> np.ndarray:
        found = np.full((len(fold.test), len(panel.assets)), np.nan)
        for k, t in enumerate(fold.test):
            rows = np.arange(max(t - 60, 0), t + 1)
            found[k] = self.predict(super().fit_to_forecast(panel, rows), panel.at(np.array([t])))[
                0
            ]
        return found


ON_OTHER_ROWS = "what it fits on training rows moves with the other rows"
MODELS = [
    (PeeksFromTheSecondFold, ON_OTHER_ROWS),
    (SeesTargets, "its predictions move with the targets of the rows that they are of"),
    (LevelOfTheTestPart, "its predictions move with features of later rows"),
    (PenaltyOfAllRows, ON_OTHER_ROWS),
    (ScaledOnAllRows, ON_OTHER_ROWS),
    (WalksIntoTheFuture, "its forecasts move with rows that are not known when they are made"),
]


@pytest.mark.parametrize(
    ("kind", "finding"), MODELS, ids=lambda given: getattr(given, "__name__", "")
)
@pytest.mark.parametrize("mode", [QUICK, THOROUGH])
def test_a_model_that_sees_what_it_may_not_is_caught(kind: Any, finding: str, mode: str) -> None:
    leaks = of_model(kind(by=None), mode=mode).leaks
    assert any(text.startswith(f"model: {finding}") for text in leaks), leaks


def test_a_prediction_is_not_handed_the_targets() -> None:
    """Without the audit too: what it cannot see it cannot use."""
    honest, peeking = (
        Experiment(Settings(audit="off"), SMALL, {"past": past}, forward_return, model, FOUR, {})
        for model in (Regression(by=None), SeesTargets(by=None))
    )
    pd.testing.assert_frame_equal(run(honest).predictions, run(peeking).predictions)


@pytest.mark.parametrize(
    "splitter", [FOUR, KFold(folds=4), HoldOut(rows=100), HoldOut(rows=100, purge=0)], ids=str
)
def test_no_splitter_of_ours_is_called_a_leak(splitter: Any) -> None:
    assert of_model(Regression(), splitter).leaks == []


def test_a_run_stops_at_a_splitter_that_leaks() -> None:
    planted = experiment({"past": past}, splitter=TrainsOnTestRows())
    with pytest.raises(DataError, match=r"validation: fold .* trains on rows that it tests"):
        run(replace(planted, source=SMALL))


# --- what is legitimate, if odd -----------------------------------------------------------------------------------

HOLIDAYS = pd.DatetimeIndex(["2015-12-25", "2016-12-26", "2017-12-25", "2018-12-25", "2019-12-25"])


def expanding_zscore(market: Market) -> pd.DataFrame:
    returns = market.returns()
    return (returns - returns.expanding(30).mean()) / returns.expanding(30).std()


def monthly_resampled_and_lagged(market: Market) -> pd.DataFrame:
    """The return of the last month that is over."""
    month = market.dates.to_period("M")
    level = market.get("close").groupby(month).last()
    return level.pct_change(fill_method=None).shift(1).reindex(month).set_axis(market.dates)


def lagged_month_end_value(market: Market) -> pd.Series:
    month = market.dates.to_period("M")
    level = market.shared("vix").groupby(month).last()
    return level.shift(1).reindex(month).set_axis(market.dates)


def near_a_holiday(market: Market) -> pd.Series:
    days = HOLIDAYS.to_numpy()[:, None] - market.dates.to_numpy()
    near = (np.abs(days) <= np.timedelta64(3, "D")).any(axis=0)
    return pd.Series(near.astype(float), index=market.dates)


def seeded_noise_by_date(market: Market) -> pd.DataFrame:
    rows = [
        np.random.default_rng(int(day)).standard_normal(60)
        for day in market.dates.as_unit("s").asi8 // 86400
    ]
    names = [f"S{k:04d}" for k in range(1, 61)]
    return pd.DataFrame(rows, index=market.dates, columns=names)[market.assets]


def cross_sectional_rank(market: Market) -> pd.DataFrame:
    return market.returns(21).rank(axis=1, pct=True)


def exponentially_weighted(market: Market) -> pd.DataFrame:
    return market.returns().ewm(halflife=20).std()


def last_known_price_change(market: Market) -> pd.DataFrame:
    return market.get("close").ffill().pct_change(5, fill_method=None)


def distance_to_the_maximum(market: Market) -> pd.DataFrame:
    close = market.get("close")
    return close / close.cummax() - 1.0


def day_of_the_week(market: Market) -> pd.Series:
    return pd.Series((market.dates.day_of_week == 0).astype(float), index=market.dates)


def rolling_quantile(market: Market) -> pd.DataFrame:
    return market.returns().rolling(63).quantile(0.05)


def regression_on_the_past(market: Market) -> pd.DataFrame:
    """A slope on the market of all rows before this one."""
    index = market.index_close.pct_change(fill_method=None)
    return market.returns().expanding(60).cov(index).div(index.expanding(60).var(), axis=0).shift(1)


def year_to_date(market: Market) -> pd.DataFrame:
    close = market.get("close")
    return close / close.groupby(market.dates.year).transform(lambda prices: prices.iloc[0]) - 1.0


def known_last_quarter(market: Market) -> pd.DataFrame:
    """Mean volume of the quarter before, as reported after it."""
    quarter = market.dates.to_period("Q")
    volume = market.get("volume").groupby(quarter).mean()
    return np.log(volume.shift(1).reindex(quarter).set_axis(market.dates))


def missing_for_a_week_after_a_jump(market: Market) -> pd.DataFrame:
    returns = market.returns()
    jumped = (returns.abs() > 0.05).astype(float).rolling(5, min_periods=1).max() > 0.0
    return returns.mask(jumped)


def excess_over_the_sector(market: Market) -> pd.DataFrame:
    returns = market.returns()
    sector = market.groups.iloc[:, 0].reindex(returns.columns)
    means = returns.T.groupby(sector).transform("mean").T
    return returns - means


LEGITIMATE = [
    expanding_zscore,
    monthly_resampled_and_lagged,
    lagged_month_end_value,
    near_a_holiday,
    seeded_noise_by_date,
    cross_sectional_rank,
    exponentially_weighted,
    last_known_price_change,
    distance_to_the_maximum,
    day_of_the_week,
    rolling_quantile,
    regression_on_the_past,
    year_to_date,
    known_last_quarter,
    missing_for_a_week_after_a_jump,
    excess_over_the_sector,
]


@pytest.mark.parametrize("mode", [QUICK, pytest.param(THOROUGH, marks=pytest.mark.slow)])
def test_nothing_that_is_legitimate_is_called_a_leak(mode: str) -> None:
    features = {feature.__name__: feature for feature in LEGITIMATE}
    market = MARKET if mode == QUICK else MARKET.of(MARKET.assets[:8]).at(np.arange(500))
    result = of_columns(mode, market=market, features=features)
    assert result.leaks == [] and result.warnings == []
    compared = result.table[result.table["what"].str.startswith("features.")]
    assert set(compared["verdict"]) == {"clean"}
    dates_only = {near_a_holiday, seeded_noise_by_date, day_of_the_week}
    assert set(result.without_data) == {f"features.{feature.__name__}" for feature in dates_only}


# --- the sample ---------------------------------------------------------------------------------------------------


def test_another_seed_draws_another_sample_and_is_stated() -> None:
    first, again, second = (of_columns(QUICK, seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first.table, again.table)
    assert not first.table["values"].equals(second.table["values"])
    assert "seed 1)" in first.words[0] and "seed 2)" in second.words[0]


def test_the_seed_follows_from_the_spec_and_the_data_where_none_is_given() -> None:
    planted = replace(
        experiment({"past": past}), settings=Settings("planted"), spec={"features": {"past": 1}}
    )
    other = replace(planted, spec={"features": {"past": 2}})
    longer = replace(SOURCE, rows=1301).load()
    first, again = audit(planted, MARKET).seed, audit(planted, MARKET).seed
    assert first == again
    assert len({first, audit(other, MARKET).seed, audit(planted, longer).seed}) == 3
