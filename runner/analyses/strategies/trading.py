"""What trading on the forecasts earns, after costs, beside holding the assets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from runner.analyses.forecasts.forecasts import OUT, forecasts, refuse_repeated
from runner.data.calendar import Year, year_of
from runner.errors import DataError
from runner.numerics.variation import mean_over_spread
from runner.panels.finding import Finding
from runner.schema.settings import NotNegative, Positive
from runner.text import count, number, percent

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.study import Study

TRADING = [
    "sample",
    "scope",
    "unit",
    "strategy",
    "n_obs",
    "long",
    "short",
    "mean",
    "volatility",
    "sharpe",
    "mean_net",
    "volatility_net",
    "sharpe_net",
    "turnover",
    "max_drawdown",
    "reason",
]
TIMED, HOLD = "timed", "buy_and_hold"
EQUITY = ["date", "sample", "strategy", "wealth"]


def trading(
    study: Study,
    *,
    cost: NotNegative = 0.0005,
    threshold: float = 0.5,
    long_short: bool = False,
    rows_per_year: Positive | None = None,
) -> Finding:
    """Position at t from the forecast at t, which earns the return from t to the next row.

    `timed` is long where the forecast is above the threshold, else out of the market, or short with
    `long_short`; `buy_and_hold` is always long. Of several assets, `all` has equal weights over
    those with a forecast on the date. Each pays `cost` (decimals) per unit of turnover, the sum of
    the changes of its weights from one row to the next, the first purchase included; the drift of
    weights between rows is not traded back. Cash earns nothing and no risk-free rate is subtracted.
    A year is `rows_per_year` rows (None: as many as the calendar of the panel has): mean times it,
    volatility (ddof 1) and Sharpe ratio times its root, turnover a year. The drawdown is the
    largest loss of compounded wealth after costs from an earlier peak, as a share of it. Rows
    without a forecast or a return are in neither.

    Raises:
        DataError: a target that does not lie one row ahead; several forecasts of a row; no row.
    """
    import pandas as pd

    year = year_of(study.market_of_target.calendar, rows_per_year)
    sample, position, returns = _positions(study, threshold, long_short)
    rows = []
    for scope, unit, assets in _units(position):
        key: dict[str, object] = {"sample": sample, "scope": scope, "unit": unit}
        paths = strategies(position[assets], returns[assets], cost)
        for name, path in paths.items():
            row = key | {"strategy": name}
            rows.append(row | _performance(path, year.rows))
    table = pd.DataFrame(rows, columns=TRADING)
    timed = table[table["strategy"] == TIMED].iloc[-1]
    hold = table[table["strategy"] == HOLD].iloc[-1]
    metrics = {"sharpe": timed["sharpe"], "sharpe_net": timed["sharpe_net"]}
    metrics["sharpe_buy_hold"] = hold["sharpe_net"]
    metrics["turnover"] = timed["turnover"]
    metrics["max_drawdown"] = timed["max_drawdown"]
    words = _words(timed, hold, cost, year)
    wealth, turnover = _own_record(study, sample, position, returns, cost)
    return Finding(table, metrics, words, wealth=wealth, turnover=turnover)


def _units(position: pd.DataFrame) -> list[tuple[str, str, list[str]]]:
    """Scope, name and assets of each asset, and of all together where there are several."""
    assets = list(position)
    units = [("asset", str(name), [name]) for name in assets]
    if len(units) > 1:
        units.append(("pooled", "all", assets))
    return units


def equity(
    study: Study, *, cost: NotNegative = 0.0005, threshold: float = 0.5, long_short: bool = False
) -> Finding:
    """Wealth of the same strategies over all assets, after costs.

    1 on the first row, then what the position of the row before has made of it.

    Raises:
        DataError: as `trading`.
    """
    import pandas as pd

    sample, position, returns = _positions(study, threshold, long_short)
    parts = []
    for name, wealth in _wealth(study, position, returns, cost).items():
        part = wealth.rename("wealth").rename_axis("date").reset_index()
        parts.append(part.assign(sample=sample, strategy=name))
    table = pd.concat(parts, ignore_index=True)[EQUITY]
    wealth, turnover = _own_record(study, sample, position, returns, cost)
    return Finding(table, picture="equity", wealth=wealth, turnover=turnover)


def _own_record(
    study: Study, sample: str, position: pd.DataFrame, returns: pd.DataFrame, cost: float
) -> tuple[pd.Series | None, pd.Series | None]:
    """Wealth after costs and turnover of the timed strategy over all assets, by date.

    None in sample, where a fit has seen what it trades.
    """
    if sample != OUT:
        return None, None
    path = strategies(position, returns, cost)[TIMED]
    return _wealth(study, position, returns, cost)[TIMED], path["turnover"]


def _wealth(
    study: Study, position: pd.DataFrame, returns: pd.DataFrame, cost: float
) -> dict[str, pd.Series]:
    """Wealth after costs of each strategy by the date at which it is known, from 1 on."""
    import pandas as pd

    dates = study.market_of_target.dates
    next_row = dates.get_indexer(position.index) + 1
    known = dates[next_row].insert(0, position.index[0])
    wealth = {}
    for name, path in strategies(position, returns, cost).items():
        net = path["net"].to_numpy()
        wealth[name] = pd.Series(wealth_from_one(net), known)
    return wealth


def _positions(
    study: Study, threshold: float, long_short: bool
) -> tuple[str, pd.DataFrame, pd.DataFrame]:
    """The sample, position (D, A) and the return (D, A) that it earns, NaN without one.

    Raises:
        DataError: a target that does not lie one row ahead; several forecasts of a row; no row.
    """
    horizon = study.panel.horizon
    if horizon != 1:
        raise DataError(
            f"a position is held for one row; given target.horizon={horizon}; allowed: 1"
        )
    sample, table = forecasts(study)
    refuse_repeated(table)
    ahead = study.market_of_target.returns().shift(-1)
    forecast = table.pivot(index="date", columns="asset", values="prediction")
    forecast = forecast[[name for name in study.panel.assets if name in forecast]]
    returns = ahead.reindex(index=forecast.index, columns=forecast.columns)
    known = forecast.notna() & returns.notna()
    if not known.any(axis=None):
        raise DataError("no row has a forecast and a return to the next row")
    out_of_market = -1.0 if long_short else 0.0
    is_long = forecast > threshold
    long = is_long.astype(float)
    filled = long.replace(0.0, out_of_market)
    position = filled.where(known)
    rows = known.any(axis=1)
    return sample, position[rows], returns[rows].where(known)


def strategies(
    position: pd.DataFrame, returns: pd.DataFrame, cost: float
) -> dict[str, pd.DataFrame]:
    """Paths of the timed strategy and of buy and hold over the assets of positions (D, A).

    Per row with a position: gross and net return, turnover, and the weights long and short.
    """
    has_position = position.notna()
    held = has_position.any(axis=1)
    timed = position[held]
    is_timed = timed.notna()
    always_long = is_timed.astype(float)
    returns = returns[held].fillna(0.0)
    share = 1.0 / timed.notna().sum(axis=1)
    return {
        TIMED: _path(timed, share, returns, cost),
        HOLD: _path(always_long, share, returns, cost),
    }


def _path(
    position: pd.DataFrame, share: pd.Series, returns: pd.DataFrame, cost: float
) -> pd.DataFrame:
    """Returns, turnover and weights of positions (D, A), each with the share (D,) of its date."""
    import pandas as pd

    weights = position.mul(share, axis=0).fillna(0.0)
    earned = weights * returns
    gross = earned.sum(axis=1)
    turnover = weights.diff().fillna(weights).abs().sum(axis=1)
    costs = cost * turnover
    net = gross - costs
    path = {"gross": gross, "net": net, "turnover": turnover}
    long_weights = weights.clip(lower=0.0)
    path["long"] = long_weights.sum(axis=1)
    short_weights = weights.clip(upper=0.0)
    path["short"] = -short_weights.sum(axis=1)
    return pd.DataFrame(path)


def _performance(path: pd.DataFrame, rows_per_year: float) -> dict[str, float | int | str]:
    """Performance of a strategy, annual."""
    root = np.sqrt(rows_per_year)
    gross = path["gross"].to_numpy()
    net = path["net"].to_numpy()
    ratio = mean_over_spread(net, returns=True)
    sharpe_net = ratio * root
    numbers: dict[str, float | int | str] = {"n_obs": len(path)}
    numbers["long"] = path["long"].mean()
    numbers["short"] = path["short"].mean()
    numbers["turnover"] = path["turnover"].mean() * rows_per_year
    numbers["mean"] = gross.mean() * rows_per_year
    numbers["sharpe"] = mean_over_spread(gross, returns=True) * root
    numbers["volatility"] = path["gross"].std() * root
    numbers["mean_net"] = net.mean() * rows_per_year
    numbers["sharpe_net"] = sharpe_net
    numbers["volatility_net"] = path["net"].std() * root
    wealth = compounded(net)
    numbers["max_drawdown"] = max_drawdown(wealth)
    numbers["reason"] = ""
    if np.isnan(sharpe_net):
        why = "one row" if len(path) < 2 else "returns do not vary"
        numbers["reason"] = f"sharpe: {why}"
    return numbers


def compounded(returns: np.ndarray) -> np.ndarray:
    """Wealth (n,) from 1; what is lost whole stays lost."""
    return np.cumprod(np.maximum(1.0 + returns, 0.0))


def wealth_from_one(returns: np.ndarray) -> np.ndarray:
    """Wealth (n + 1,) from 1 on the first row on, which no return has yet changed."""
    return np.append(1.0, compounded(returns))


def max_drawdown(wealth: np.ndarray) -> float:
    """Largest loss from an earlier peak, or from 1 at the start, as a share of it."""
    peak = np.maximum(np.maximum.accumulate(wealth), 1.0)
    share_of_peak = wealth / peak
    drawdown = 1.0 - share_of_peak
    return float(np.max(drawdown))


def _words(timed: pd.Series, hold: pd.Series, cost: float, year: Year) -> list[str]:
    rows = f"{count(int(timed['n_obs']), 'row')} {timed['sample']}"
    if timed["sample"] != OUT:
        rows += ", on which the model was fitted"
    long_share = percent(timed["long"])
    short_share = percent(timed["short"])
    sides = f"{long_share} long and {short_share} short on average"
    after = _ratio(timed["sharpe_net"])
    before = _ratio(timed["sharpe"])
    turnover = number(timed["turnover"], 3)
    hold_after = _ratio(hold["sharpe_net"])
    drawdown = percent(timed["max_drawdown"])
    hold_drawdown = percent(hold["max_drawdown"])
    costs = f"after costs of {cost:g} per unit of turnover"
    ratios = (
        f"Traded on {rows}, {sides}, it has a Sharpe ratio of {after} {costs} "
        f"({before} before costs, turnover {turnover} a year), "
        f"against {hold_after} for buy and hold; the difference was not tested."
    )
    annual = (
        f"Means, volatilities, Sharpe ratios and turnover are {year.words}, "
        "and no risk-free rate is subtracted. "
        f"The largest drawdown is {drawdown}, against {hold_drawdown}."
    )
    return [ratios, annual]


def _ratio(value: float) -> str:
    return "none" if np.isnan(value) else number(value, 3)
