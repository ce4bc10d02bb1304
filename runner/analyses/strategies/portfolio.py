"""Portfolios of assets sorted by the forecast on each date: the top against the bottom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from runner.analyses.forecasts.forecasts import OUT, refuse_repeated
from runner.analyses.forecasts.judged import judged
from runner.analyses.strategies.sharpe import STATIONARY, intervals
from runner.analyses.strategies.trading import compounded, max_drawdown, wealth_from_one
from runner.data.calendar import year_of
from runner.errors import DataError
from runner.numerics.variation import mean_over_spread
from runner.panels.finding import Finding
from runner.schema.settings import Count, Draws, NotNegative, Positive, Rows, Share, Window
from runner.text import count, number, percent, t_text, verdict

if TYPE_CHECKING:
    import pandas as pd

    from runner.analyses.strategies.sharpe import Interval
    from runner.models.study import Study

Row = dict[str, object]  # of a table
COLUMNS = [
    "scope",
    "unit",
    "n_obs",
    "assets",
    "mean",
    "t_stat",
    "t_stat_nw",
    "p_value",
    "mean_annual",
    "volatility_annual",
    "sharpe",
    "turnover",
    "mean_net_annual",
    "sharpe_net",
    "ci_low",
    "ci_high",
    "max_drawdown",
    "reason",
    "block",
]
LOGGED = ["mean", "t_stat_nw", "sharpe", "sharpe_net", "turnover", "max_drawdown"]
SPREAD, TOP, NAIVE = "top minus bottom", "top", "equal weights"
WEALTH = ["date", "strategy", "wealth", "sample"]


def portfolio(
    study: Study,
    *,
    quantiles: Window = 5,
    cost: NotNegative = 0.0005,
    long_short: bool = True,
    rows_per_year: Positive | None = None,
    draws: Draws = 2_000,
    block: Rows | None = None,
    seed: Count = 0,
    confidence: Share = 0.95,
) -> Finding:
    """Assets sorted by the forecast on each date into groups of equal size, 1 the lowest.

    Each group holds its assets in equal weights; its return is their mean target: what is held from
    row t to row t + horizon. The strategy is the top group less the bottom one, or the top one
    alone without `long_short`; the naive is all assets in equal weights. With a horizon of several
    rows, assets are sorted every `horizon` rows, from the first forecast on, so that holdings do
    not overlap. Equal forecasts share a group; dates with fewer assets than groups, or on which the
    top or the bottom is empty, are left out and counted.

    Each pays `cost` (decimals) per unit of turnover, the sum of the changes of its weights since
    the date before, the first purchase included; the drift of weights between dates is not traded
    back. `mean`, its t (plain, and Newey-West over dates) and the p-value of the latter are per
    holding, before costs. A year is `rows_per_year` rows (None: as many as the calendar of the
    panel has): mean times holdings a year, volatility (ddof 1) and Sharpe ratio times the root of
    it. The interval is of the Sharpe ratio after costs: percentiles of the stationary bootstrap,
    see `runner.analyses.strategies.sharpe`. The drawdown is of compounded wealth after costs, of 1
    of capital for 1 in the top group and 1 short in the bottom one.

    Raises:
        DataError: a target that is not a forward return; several forecasts of a row; fewer than two
            dates to sort.
    """
    import pandas as pd

    year = year_of(study.panel.calendar, rows_per_year)
    sorted_ = _sort(study, quantiles)
    holdings_per_year = year.rows / study.panel.horizon
    rows = []
    for scope, unit, path in _portfolios(sorted_, cost, long_short):
        row: Row = {"scope": scope, "unit": unit}
        row |= _performance(path, holdings_per_year)
        if scope != "quantile":
            methods = intervals(path.net, draws, block, seed, confidence, returns=True)
            row |= _interval(methods, holdings_per_year)
        rows.append(row)
    table = pd.DataFrame(rows, columns=COLUMNS)
    strategy = table.iloc[-2]
    naive = table.iloc[-1]
    metrics = {name: float(strategy[name]) for name in LOGGED}
    metrics["sharpe_naive"] = float(naive["sharpe_net"])
    before_costs = _sorted_sentence(table, study.panel.horizon)
    after_costs = _costs(strategy, naive, cost, confidence)
    annual = f"Sharpe ratios, turnover and annual means are {year.words}."
    words = [before_costs, f"{after_costs} {annual}", *_left_out(sorted_)]
    wealth, turnover = _own_record(study, sorted_, cost, long_short)
    table = table.assign(sample=sorted_.sample)
    return Finding(table, metrics, words, "quantiles", wealth, turnover)


def _interval(methods: list[Interval], holdings_per_year: float) -> Row:
    """The annual interval of the Sharpe ratio by the stationary bootstrap, one of the methods."""
    root = np.sqrt(holdings_per_year)
    [drawn] = [interval for interval in methods if interval.method == STATIONARY]
    return {
        "ci_low": drawn.ci_low * root,
        "ci_high": drawn.ci_high * root,
        "reason": drawn.reason,
        "block": drawn.block,
    }


def portfolio_wealth(
    study: Study, *, quantiles: Window = 5, cost: NotNegative = 0.0005, long_short: bool = True
) -> Finding:
    """Wealth of the strategy of `portfolio`, before and after costs, and of equal weights after.

    1 on the first date of sorting, then at each row at which a return is known.

    Raises:
        DataError: as `portfolio`.
    """
    import pandas as pd

    sorted_ = _sort(study, quantiles)
    known = _known(study, sorted_)
    portfolios = _portfolios(sorted_, cost, long_short)
    _, strategy, path = portfolios[-2]
    _, naive, naive_path = portfolios[-1]
    before_costs = f"{strategy}, before costs"
    lines = {before_costs: path.gross}
    after_costs = f"{strategy}, after costs"
    lines[after_costs] = path.net
    naive_after_costs = f"{naive}, after costs"
    lines[naive_after_costs] = naive_path.net
    parts = []
    for name, returns in lines.items():
        heads = {"date": known, "strategy": name}
        part = pd.DataFrame(heads)
        part["wealth"] = wealth_from_one(returns)
        part["sample"] = sorted_.sample
        parts.append(part)
    table = pd.concat(parts, ignore_index=True)[WEALTH]
    wealth, turnover = _own_record(study, sorted_, cost, long_short)
    return Finding(table, picture="portfolio_wealth", wealth=wealth, turnover=turnover)


def _known(study: Study, sorted_: Sorted) -> pd.DatetimeIndex:
    """(D + 1,) the first date of sorting, then the rows at which each return is known."""
    dates = study.panel.dates
    sorting = dates.get_indexer(sorted_.dates)
    last_row = len(dates) - 1
    end = np.minimum(sorting + study.panel.horizon, last_row)
    return dates[np.append(sorting[0], end)]


def _own_record(
    study: Study, sorted_: Sorted, cost: float, long_short: bool
) -> tuple[pd.Series | None, pd.Series | None]:
    """Wealth after costs and turnover of the strategy by date.

    None in sample, where a fit has seen what it trades.
    """
    import pandas as pd

    if sorted_.sample != OUT:
        return None, None
    portfolios = _portfolios(sorted_, cost, long_short)
    _, _, path = portfolios[-2]
    wealth = pd.Series(wealth_from_one(path.net), _known(study, sorted_))
    return wealth, pd.Series(path.turnover, sorted_.dates)


@dataclass(frozen=True)
class Sorted:
    """Assets sorted by the forecast.

    Attributes:
        sample: of the forecasts, in words.
        dates: (D,) of sorting.
        returns, group: (D, A) return and group of each asset, the group from 0, -1 for none.
        groups: how many.
        few: dates with fewer assets than groups.
        tied: dates on which the top or the bottom is empty.
        rows: dates with forecasts, also those within a holding.
    """

    sample: str
    dates: pd.DatetimeIndex
    returns: np.ndarray
    group: np.ndarray
    groups: int
    few: int
    tied: int
    rows: int


class Path(NamedTuple):
    """Per date (D,): return before and after costs, turnover, assets held."""

    gross: np.ndarray
    net: np.ndarray
    turnover: np.ndarray
    assets: np.ndarray


def groups_of(forecast: np.ndarray, date: np.ndarray, groups: int) -> np.ndarray:
    """Group (n,) of each forecast within its date, from 0: floor((rank - 1/2) groups / assets).

    Equal forecasts share their mean rank and so a group, and all of a date are equal that differ by
    rounding only.
    """
    from runner.numerics.cross_section import ranks, varies

    assets_on_date = np.bincount(date)
    assets = assets_on_date[date]
    dates = date.max() + 1
    differ = varies(forecast, date, dates)[date]
    middle = (assets + 1.0) / 2.0
    rank = np.where(differ, ranks(forecast, date), middle)
    return np.asarray((rank - 0.5) * groups // assets, dtype=int)


def _sort(study: Study, quantiles: int) -> Sorted:
    """Assets sorted by the forecast, every `horizon` rows.

    Raises:
        DataError: a target that a position does not earn; several forecasts of a row; fewer than
            two dates to sort.
    """
    import pandas as pd

    _refuse(study)
    sample, table = judged(study)
    refuse_repeated(table)
    rows = table["date"].nunique()
    row_of_panel = study.panel.dates.get_indexer(table["date"])
    first_row = row_of_panel.min()
    rows_since_first = row_of_panel - first_row
    table = table[rows_since_first % study.panel.horizon == 0]
    date, dates = pd.factorize(table["date"], sort=True)
    asset, _ = pd.factorize(table["asset"])
    shape = (len(dates), asset.max() + 1)
    group = np.full(shape, -1)
    returns = np.zeros(shape)
    forecast = table["prediction"].to_numpy(dtype=float)
    group[date, asset] = groups_of(forecast, date, quantiles)
    returns[date, asset] = table["y"]
    few = (group >= 0).sum(axis=1) < quantiles
    is_bottom = group == 0
    has_bottom = is_bottom.any(axis=1)
    has_top = (group == quantiles - 1).any(axis=1)
    tied = ~few & ~(has_bottom & has_top)
    use = ~few & ~tied
    few_dates = int(few.sum())
    tied_dates = int(tied.sum())
    _refuse_unsorted(quantiles, int(use.sum()), few_dates, tied_dates)
    all_dates = pd.DatetimeIndex(dates)
    used_dates = all_dates[use]
    return Sorted(
        sample, used_dates, returns[use], group[use], quantiles, few_dates, tied_dates, rows
    )


def _refuse_unsorted(quantiles: int, dates: int, few: int, tied: int) -> None:
    """Refuse fewer than two dates that can be sorted."""
    if dates < 2:
        reasons = f"{count(few, 'date')} with fewer assets, {tied:,} with equal forecasts"
        can_be_sorted = f"{count(dates, 'date')} can be sorted ({reasons})"
        raise DataError(f"quantiles: given {quantiles}; {can_be_sorted}")


def _refuse(study: Study) -> None:
    """Refuse targets that a position does not earn; one without a kind is taken at its word."""
    unit = study.panel.unit
    given = unit.noun
    of_same_row = study.panel.horizon < 1
    if of_same_row:
        given += " of the same row"
    if of_same_row or unit.kind not in ("return", None):
        raise DataError(
            f"a position earns the return that lies ahead; given {given}; "
            "allowed: target=forward_return"
        )


def _portfolios(sorted_: Sorted, cost: float, long_short: bool) -> list[tuple[str, str, Path]]:
    """Scope, name and path of every group, of the strategy and of the naive, in this order."""
    groups = [_equal(sorted_.group == k) for k in range(sorted_.groups)]
    strategy = groups[-1] - groups[0] if long_short else groups[-1]
    portfolios = [("quantile", str(k), weights) for k, weights in enumerate(groups, start=1)]
    portfolios.append(("strategy", SPREAD if long_short else TOP, strategy))
    portfolios.append(("naive", NAIVE, _equal(sorted_.group >= 0)))
    paths = []
    for scope, unit, weights in portfolios:
        path = _path(weights, sorted_.returns, cost)
        paths.append((scope, unit, path))
    return paths


def _equal(held: np.ndarray) -> np.ndarray:
    """Equal weights (D, A) of what is held; zeros where nothing is."""
    assets = held.sum(axis=1, keepdims=True)
    at_least_one = np.maximum(assets, 1)
    return held / at_least_one


def _path(weights: np.ndarray, returns: np.ndarray, cost: float) -> Path:
    earned = weights * returns
    gross = earned.sum(axis=1)
    trades = np.diff(weights, axis=0, prepend=0.0)
    sizes = np.abs(trades)
    turnover = sizes.sum(axis=1)
    costs = cost * turnover
    net = gross - costs
    is_held = weights != 0.0
    assets = is_held.sum(axis=1)
    return Path(gross, net, turnover, assets)


def _performance(path: Path, holdings_per_year: float) -> Row:
    """Performance of a portfolio; a date on which nothing is held earns nothing."""
    from runner.numerics.cross_section import average

    root = np.sqrt(holdings_per_year)
    mean = average(path.gross, 1, returns=True)
    holdings = len(path.gross)
    mean_assets = path.assets.mean()
    per_holding = {"n_obs": holdings, "assets": mean_assets}
    per_holding |= {"mean": mean.mean, "p_value": mean.p_value}
    per_holding |= {"t_stat": mean.t, "t_stat_nw": mean.t_nw}
    mean_annual = mean.mean * holdings_per_year
    annual = {"mean_annual": mean_annual}
    annual["volatility_annual"] = path.gross.std(ddof=1) * root
    annual["sharpe"] = mean_over_spread(path.gross, returns=True) * root
    annual["turnover"] = path.turnover.mean() * holdings_per_year
    annual["mean_net_annual"] = path.net.mean() * holdings_per_year
    annual["sharpe_net"] = mean_over_spread(path.net, returns=True) * root
    wealth = compounded(path.net)
    drawdown = max_drawdown(wealth)
    return per_holding | annual | {"max_drawdown": drawdown, "reason": ""}


def _sorted_sentence(table: pd.DataFrame, horizon: int) -> str:
    """Mean returns of the groups and of the strategy, before costs."""
    bottom = table.iloc[0]
    top = table.iloc[-3]
    strategy = table.iloc[-2]
    every = table.iloc[-1]
    groups = len(table) - 2
    number_of_dates = int(strategy["n_obs"])
    dates = count(number_of_dates, "date")
    over = "row" if horizon == 1 else f"{horizon} rows"
    of_top = number(top["mean"])
    of_bottom = number(bottom["mean"])
    of_every = number(every["mean"])
    of_strategy = number(strategy["mean"])
    t = t_text(strategy["t_stat"])
    t_newey_west = t_text(strategy["t_stat_nw"])
    test = f"t {t}, Newey-West t {t_newey_west}"
    significance = verdict(strategy["p_value"])
    return (
        f"Sorted by the forecast into {groups} groups on {dates}, "
        f"the top earns {of_top} per {over} and the bottom {of_bottom}, all assets {of_every}; "
        f"{strategy['unit']}: {of_strategy} ({test}), {significance}, before costs."
    )


def _costs(strategy: pd.Series, naive: pd.Series, cost: float, confidence: float) -> str:
    """Sharpe ratios after costs and drawdowns, of the strategy and of equal weights."""
    interval = _interval_text(strategy, confidence)
    turnover = number(strategy["turnover"], 3)
    before = number(strategy["sharpe"], 3)
    after = number(strategy["sharpe_net"], 3)
    naive_after = number(naive["sharpe_net"], 3)
    drawdown = percent(strategy["max_drawdown"])
    naive_drawdown = percent(naive["max_drawdown"])
    return (
        f"After costs of {cost:g} per unit of turnover ({turnover} a year) "
        f"its Sharpe ratio is {after} a year ({interval}; {before} before costs), "
        f"against {naive_after} for equal weights; the difference was not tested. "
        f"Largest drawdown: {drawdown}, against {naive_drawdown}."
    )


def _interval_text(strategy: pd.Series, confidence: float) -> str:
    if strategy["reason"]:
        return f"no interval: {strategy['reason']}"
    confidence_text = percent(confidence)
    level = confidence_text.replace(".0 ", " ")
    low = strategy["ci_low"]
    high = strategy["ci_high"]
    zero = "excludes" if low > 0.0 or high < 0.0 else "includes"
    low_text = number(low, 3)
    high_text = number(high, 3)
    return f"{level} interval {low_text} to {high_text}, which {zero} zero"


def _left_out(sorted_: Sorted) -> list[str]:
    """The sample, and the dates that are not sorted."""
    left_out = sorted_.few + sorted_.tied
    used_rows = len(sorted_.dates)
    rows_between = sorted_.rows - used_rows
    between = rows_between - left_out
    fewer = f"have fewer than {sorted_.groups} assets and are left out"
    equal = "have forecasts so equal that the top or the bottom is empty, and are left out"
    reasons = {
        "lie within a holding and are not sorted": between,
        fewer: sorted_.few,
        equal: sorted_.tied,
    }
    every = f"{sorted_.rows:,} dates"
    words = [f"The forecasts are {sorted_.sample}."]
    for reason, dates in reasons.items():
        if dates:
            words.append(f"Of {every} {dates:,} {reason}.")
    return words
