"""What trading the forecasts over the cross-section earns: sorted by the forecast, the top against
the bottom.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from runner.analyses.forecasts.forecasts import OUT
from runner.analyses.forecasts.judged import judged
from runner.analyses.strategies.sharpe import STATIONARY, intervals
from runner.analyses.strategies.trading import compounded, max_drawdown
from runner.data.calendar import year_of
from runner.errors import DataError
from runner.numerics.variation import mean_over_spread
from runner.panels.finding import Finding
from runner.schema.settings import Count, NotNegative, Positive, Rows, Share, Window
from runner.text import count, number, percent, t_text, verdict

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.study import Study

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
]
COLUMNS += [
    "sharpe",
    "turnover",
    "mean_net_annual",
    "sharpe_net",
    "ci_low",
    "ci_high",
    "max_drawdown",
    "reason",
]
SPREAD, TOP, NAIVE = "top minus bottom", "top", "equal weights"
WEALTH = ["date", "strategy", "wealth", "sample"]
RETURNS = "forward_return"  # of runner.targets, the one that a position can earn


def portfolio(
    study: Study,
    *,
    quantiles: Window = 5,
    cost: NotNegative = 0.0005,
    long_short: bool = True,
    rows_per_year: Positive | None = None,
    draws: Rows = 2_000,
    block: Rows | None = None,
    seed: Count = 0,
    confidence: Share = 0.95,
) -> Finding:
    """Assets sorted by the forecast on each date into groups of equal size, 1 the lowest, with
    equal weights in each.

    The return of a group is the mean target of its assets: what is held from row t to row t +
    horizon. The strategy is the top group less the bottom one, or the top one alone without
    `long_short`; the naive is all assets in equal weights. With a horizon of several rows, assets
    are sorted every `horizon` rows, from the first forecast on, so that holdings do not overlap.
    Equal forecasts share a group; dates with fewer assets than groups, or on which the top or the
    bottom is empty, are left out and counted.

    Each pays `cost` (decimals) per unit of turnover, the sum of the changes of its weights since
    the date before, the first purchase included; the drift of weights between dates is not traded
    back. `mean`, its t (plain, and Newey-West over dates) and the p-value of the latter are per
    holding, before costs. A year is `rows_per_year` rows (None: as many as the calendar of the
    panel has): mean times holdings a year, volatility (ddof 1) and Sharpe ratio times the root of
    it. The interval is of the Sharpe ratio after costs: percentiles of the stationary bootstrap,
    see `runner.analyses.strategies.sharpe`. The drawdown is of compounded wealth after costs, of 1 of capital
    for 1 in the top group and 1 short in the bottom one.

    Raises:
        DataError: a target that is not a forward return; several forecasts of a row; fewer than two
            dates to sort.
    """
    import pandas as pd

    a_year = year_of(study.panel.calendar, rows_per_year)
    sorted_ = _sort(study, quantiles)
    year = a_year.rows / study.panel.horizon
    rows = []
    for scope, unit, path in _portfolios(sorted_, cost, long_short):
        row = {"scope": scope, "unit": unit} | _performance(path, year)
        if scope != "quantile":
            methods = intervals(path.net, draws, block, seed, confidence, returns=True)
            [drawn] = [one for one in methods if one.method == STATIONARY]
            row |= {
                "ci_low": drawn.ci_low * np.sqrt(year),
                "ci_high": drawn.ci_high * np.sqrt(year),
            }
            row |= {"reason": drawn.reason, "block": drawn.block}
        rows.append(row)
    table = pd.DataFrame(rows, columns=[*COLUMNS, "block"])
    ours, naive = table.iloc[-2], table.iloc[-1]
    metrics = {
        name: float(ours[name])
        for name in ("mean", "t_stat_nw", "sharpe", "sharpe_net", "turnover")
    }
    metrics |= {
        "max_drawdown": float(ours["max_drawdown"]),
        "sharpe_naive": float(naive["sharpe_net"]),
    }
    after_costs = f"{_costs(ours, naive, cost, confidence)} Sharpe ratios, turnover and annual means are {a_year.words}."
    words = [*_words(table, study.panel.horizon), after_costs, *_left_out(sorted_)]
    wealth = _own_wealth(study, sorted_, cost, long_short)
    return Finding(table.assign(sample=sorted_.sample), metrics, words, "quantiles", wealth)


def portfolio_wealth(
    study: Study, *, quantiles: Window = 5, cost: NotNegative = 0.0005, long_short: bool = True
) -> Finding:
    """Wealth of the strategy of `portfolio`, before and after costs, and of all assets in equal
    weights after costs.

    1 on the first date of sorting, then at each row at which a return is known.

    Raises:
        DataError: as `portfolio`.
    """
    import pandas as pd

    sorted_ = _sort(study, quantiles)
    known = _known(study, sorted_)
    (_, name, ours), (_, naive, every) = list(_portfolios(sorted_, cost, long_short))[-2:]
    parts = []
    lines = {
        f"{name}, before costs": ours.gross,
        f"{name}, after costs": ours.net,
        f"{naive}, after costs": every.net,
    }
    for strategy, returns in lines.items():
        wealth = np.append(1.0, compounded(returns))
        parts.append(
            pd.DataFrame(
                {"date": known, "strategy": strategy, "wealth": wealth, "sample": sorted_.sample}
            )
        )
    table = pd.concat(parts, ignore_index=True)[WEALTH]
    return Finding(
        table, picture="portfolio_wealth", wealth=_own_wealth(study, sorted_, cost, long_short)
    )


def _known(study: Study, sorted_: Sorted) -> pd.DatetimeIndex:
    """(D + 1,) the first date of sorting, then the rows at which the return of each holding is
    known.
    """
    dates = study.panel.dates
    sorting = dates.get_indexer(sorted_.dates)
    last = np.minimum(sorting + study.panel.horizon, len(dates) - 1)
    return dates[np.append(sorting[0], last)]


def _own_wealth(study: Study, sorted_: Sorted, cost: float, long_short: bool) -> pd.Series | None:
    """Wealth of the strategy after costs; none in sample, where a fit has seen what it trades."""
    import pandas as pd

    if sorted_.sample != OUT:
        return None
    _, _, ours = list(_portfolios(sorted_, cost, long_short))[-2]
    return pd.Series(np.append(1.0, compounded(ours.net)), _known(study, sorted_))


@dataclass(frozen=True)
class Sorted:
    """Dates (D,) of sorting, and of each date and asset (D, A) the return and the group from 0, -1
    for none.
    """

    sample: str
    dates: pd.DatetimeIndex
    returns: np.ndarray
    group: np.ndarray
    groups: int
    few: int  # dates with fewer assets than groups
    tied: int  # dates on which the top or the bottom is empty
    rows: int  # dates with forecasts, also those within a holding


class Path(NamedTuple):
    """Per date (D,): return before and after costs, turnover, assets held."""

    gross: np.ndarray
    net: np.ndarray
    turnover: np.ndarray
    assets: np.ndarray


def groups_of(forecast: np.ndarray, date: np.ndarray, groups: int) -> np.ndarray:
    """Group (n,) of each forecast within its date, 0 the lowest: floor((rank - 1/2) groups /
    assets).

    Equal forecasts share their mean rank and so a group, and all of a date are equal that differ by
    rounding only.
    """
    from runner.numerics.cross_section import ranks, varies

    assets = np.bincount(date)[date]
    differ = varies(forecast, date, date.max() + 1)[date]
    rank = np.where(differ, ranks(forecast, date), (assets + 1.0) / 2.0)
    return np.asarray((rank - 0.5) * groups // assets, dtype=int)


def _sort(study: Study, quantiles: int) -> Sorted:
    import pandas as pd

    _refuse(study)
    sample, table = judged(study)
    if table.duplicated(["date", "asset"]).any():
        raise DataError(
            "several folds forecast the same row; allowed: a validation with one forecast of each"
        )
    at, rows = study.panel.dates.get_indexer(table["date"]), table["date"].nunique()
    table = table[(at - at.min()) % study.panel.horizon == 0]
    date, dates = pd.factorize(table["date"], sort=True)
    asset, _ = pd.factorize(table["asset"])
    group, returns = (
        np.full((len(dates), asset.max() + 1), -1),
        np.zeros((len(dates), asset.max() + 1)),
    )
    group[date, asset] = groups_of(table["prediction"].to_numpy(dtype=float), date, quantiles)
    returns[date, asset] = table["y"]
    few = (group >= 0).sum(axis=1) < quantiles
    tied = ~few & ~((group == 0).any(axis=1) & (group == quantiles - 1).any(axis=1))
    use = ~few & ~tied
    if use.sum() < 2:
        reasons = f"{count(int(few.sum()), 'date')} with fewer assets, {int(tied.sum()):,} with equal forecasts"
        raise DataError(
            f"quantiles: given {quantiles}; {count(int(use.sum()), 'date')} can be sorted ({reasons})"
        )
    dates = pd.DatetimeIndex(dates)[use]
    return Sorted(
        sample, dates, returns[use], group[use], quantiles, int(few.sum()), int(tied.sum()), rows
    )


def _refuse(study: Study) -> None:
    """Targets that a position does not earn; those of the user are taken at their word."""
    module, _, name = str(study.settings.get("_target_", "")).rpartition(".")
    given = f"a target of the same row ({name or 'horizon 0'})" if study.panel.horizon < 1 else name
    if study.panel.horizon < 1 or (module == "runner.targets" and name != RETURNS):
        raise DataError(
            f"a position earns the return that lies ahead; given {given}; allowed: target={RETURNS}"
        )


def _portfolios(sorted_: Sorted, cost: float, long_short: bool) -> list[tuple[str, str, Path]]:
    """Every group, the strategy and the naive, in this order."""
    equal = [_equal(sorted_.group == k) for k in range(sorted_.groups)]
    sides = equal[-1] - equal[0] if long_short else equal[-1]
    portfolios = [("quantile", str(k), weights) for k, weights in enumerate(equal, start=1)]
    portfolios.append(("strategy", SPREAD if long_short else TOP, sides))
    portfolios.append(("naive", NAIVE, _equal(sorted_.group >= 0)))
    return [
        (scope, unit, _path(weights, sorted_.returns, cost)) for scope, unit, weights in portfolios
    ]


def _equal(held: np.ndarray) -> np.ndarray:
    """Equal weights (D, A) of what is held; zeros where nothing is."""
    return held / np.maximum(held.sum(axis=1, keepdims=True), 1)


def _path(weights: np.ndarray, returns: np.ndarray, cost: float) -> Path:
    gross = (weights * returns).sum(axis=1)
    turnover = np.abs(np.diff(weights, axis=0, prepend=0.0)).sum(axis=1)
    return Path(gross, gross - cost * turnover, turnover, (weights != 0.0).sum(axis=1))


def _performance(path: Path, year: float) -> dict[str, float | str]:
    """Numbers of a portfolio that holds `year` times a year; a date on which nothing is held earns
    nothing.
    """
    from runner.numerics.cross_section import average

    mean = average(path.gross, 1, returns=True)
    return {
        "n_obs": len(path.gross),
        "assets": path.assets.mean(),
        "mean": mean.mean,
        "t_stat": mean.t,
        "t_stat_nw": mean.t_nw,
        "p_value": mean.p_value,
        "mean_annual": mean.mean * year,
        "volatility_annual": path.gross.std(ddof=1) * np.sqrt(year),
        "sharpe": mean_over_spread(path.gross, returns=True) * np.sqrt(year),
        "turnover": path.turnover.mean() * year,
        "mean_net_annual": path.net.mean() * year,
        "sharpe_net": mean_over_spread(path.net, returns=True) * np.sqrt(year),
        "max_drawdown": max_drawdown(compounded(path.net)),
        "reason": "",
    }


def _words(table: pd.DataFrame, horizon: int) -> list[str]:
    low, high, ours = table.iloc[0], table.iloc[-3], table.iloc[-2]
    over = "row" if horizon == 1 else f"{horizon} rows"
    return [
        f"Sorted by the forecast into {len(table) - 2} groups on {count(int(ours['n_obs']), 'date')}, the top earns "
        f"{number(high['mean'])} per {over} and the bottom {number(low['mean'])}, all assets "
        f"{number(table.iloc[-1]['mean'])}; {ours['unit']}: {number(ours['mean'])} (t {t_text(ours['t_stat'])}, "
        f"Newey-West t {t_text(ours['t_stat_nw'])}), {verdict(ours['p_value'])}, before costs."
    ]


def _costs(ours: pd.Series, naive: pd.Series, cost: float, confidence: float) -> str:
    level = percent(confidence).replace(".0 ", " ")
    if ours["reason"]:
        interval = f"no interval: {ours['reason']}"
    else:
        zero = "excludes" if ours["ci_low"] > 0.0 or ours["ci_high"] < 0.0 else "includes"
        interval = f"{level} interval {number(ours['ci_low'], 3)} to {number(ours['ci_high'], 3)}, which {zero} zero"
    return (
        f"After costs of {cost:g} per unit of turnover ({number(ours['turnover'], 3)} a year) its Sharpe ratio is "
        f"{number(ours['sharpe_net'], 3)} a year ({interval}; {number(ours['sharpe'], 3)} before costs), that of "
        f"equal weights {number(naive['sharpe_net'], 3)}; no test was made of the difference. Largest drawdown: "
        f"{percent(ours['max_drawdown'])} beside {percent(naive['max_drawdown'])}."
    )


def _left_out(sorted_: Sorted) -> list[str]:
    found = [f"The forecasts are {sorted_.sample}."]
    between = sorted_.rows - len(sorted_.dates) - sorted_.few - sorted_.tied
    reasons = {
        "lie within a holding and are not sorted": between,
        f"have fewer than {sorted_.groups} assets and are left out": sorted_.few,
        "have forecasts so equal that the top or the bottom is empty, and are left out": sorted_.tied,
    }
    return found + [
        f"Of {sorted_.rows:,} dates {rows:,} {why}." for why, rows in reasons.items() if rows
    ]
