"""What trading on the forecasts earns, after costs, beside holding the assets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from runner.analyses.forecasts.forecasts import OUT, forecasts
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
]
TRADING += ["mean_net", "volatility_net", "sharpe_net", "turnover", "max_drawdown", "reason"]
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
    units = [("asset", str(name), [name]) for name in position]
    units = [*units, ("pooled", "all", list(position))] if len(units) > 1 else units
    rows = []
    for scope, unit, assets in units:
        about: dict[str, object] = {"sample": sample, "scope": scope, "unit": unit}
        paths = strategies(position[assets], returns[assets], cost)
        rows += [
            about | {"strategy": name} | _performance(path, year.rows)
            for name, path in paths.items()
        ]
    table = pd.DataFrame(rows, columns=TRADING)
    timed, hold = (table[table["strategy"] == name].iloc[-1] for name in (TIMED, HOLD))
    metrics = {
        "sharpe": timed["sharpe"],
        "sharpe_net": timed["sharpe_net"],
        "sharpe_buy_hold": hold["sharpe_net"],
    }
    metrics |= {"turnover": timed["turnover"], "max_drawdown": timed["max_drawdown"]}
    words = _words(timed, hold, cost, year)
    return Finding(
        table, metrics, words, wealth=_own_wealth(study, sample, position, returns, cost)
    )


def equity(
    study: Study, *, cost: NotNegative = 0.0005, threshold: float = 0.5, long_short: bool = False
) -> Finding:
    """Wealth of the same strategies over all assets, after costs: 1 on the first row, then what the
    position of the row before has made of it.

    Raises:
        DataError: as `trading`.
    """
    import pandas as pd

    sample, position, returns = _positions(study, threshold, long_short)
    paths = _wealth(study, position, returns, cost)
    parts = [
        path.rename("wealth").rename_axis("date").reset_index().assign(sample=sample, strategy=name)
        for name, path in paths.items()
    ]
    own = _own_wealth(study, sample, position, returns, cost)
    return Finding(pd.concat(parts, ignore_index=True)[EQUITY], picture="equity", wealth=own)


def _own_wealth(
    study: Study, sample: str, position: pd.DataFrame, returns: pd.DataFrame, cost: float
) -> pd.Series | None:
    """Wealth of the timed strategy over all assets; none in sample, where a fit has seen what it
    trades.
    """
    return _wealth(study, position, returns, cost)[TIMED] if sample == OUT else None


def _wealth(
    study: Study, position: pd.DataFrame, returns: pd.DataFrame, cost: float
) -> dict[str, pd.Series]:
    """Wealth after costs of each strategy by the date at which it is known, from 1 at the first
    row on.
    """
    import pandas as pd

    rows = study.market_of_target.dates
    known = rows[rows.get_indexer(position.index) + 1].insert(0, position.index[0])
    return {
        name: pd.Series(np.append(1.0, compounded(path["net"].to_numpy())), known)
        for name, path in strategies(position, returns, cost).items()
    }


def _positions(
    study: Study, threshold: float, long_short: bool
) -> tuple[str, pd.DataFrame, pd.DataFrame]:
    """The sample, and of its dates and assets (D, A) the position, NaN without one, and the return
    it earns.
    """
    if study.panel.horizon != 1:
        raise DataError(
            f"a position is held for one row; given target.horizon={study.panel.horizon}; allowed: 1"
        )
    sample, table = forecasts(study)
    if table.duplicated(["date", "asset"]).any():
        raise DataError(
            "several folds forecast the same row; allowed: a validation with one forecast of each"
        )
    ahead = study.market_of_target.returns().shift(-1)
    forecast = table.pivot(index="date", columns="asset", values="prediction")
    forecast = forecast[[name for name in study.panel.assets if name in forecast]]
    returns = ahead.reindex(index=forecast.index, columns=forecast.columns)
    known = forecast.notna() & returns.notna()
    if not known.any(axis=None):
        raise DataError("no row has a forecast and a return to the next row")
    low = -1.0 if long_short else 0.0
    position = (forecast > threshold).astype(float).replace(0.0, low).where(known)
    rows = known.any(axis=1)
    return sample, position[rows], returns[rows].where(known)


def strategies(
    position: pd.DataFrame, returns: pd.DataFrame, cost: float
) -> dict[str, pd.DataFrame]:
    """Per row with a position (D, A): gross and net return, turnover, and the weights long and
    short.
    """
    import pandas as pd

    held = position.notna().any(axis=1)
    position, returns = position[held], returns[held].fillna(0.0)
    share = 1.0 / position.notna().sum(axis=1)
    found = {}
    for name, side in ((TIMED, position), (HOLD, position.notna().astype(float))):
        weights = side.mul(share, axis=0).fillna(0.0)
        gross = (weights * returns).sum(axis=1)
        turnover = weights.diff().fillna(weights).abs().sum(axis=1)
        parts = {"gross": gross, "net": gross - cost * turnover, "turnover": turnover}
        parts |= {
            "long": weights.clip(lower=0.0).sum(axis=1),
            "short": -weights.clip(upper=0.0).sum(axis=1),
        }
        found[name] = pd.DataFrame(parts)
    return found


def _performance(path: pd.DataFrame, rows_per_year: float) -> dict[str, float | int | str]:
    found: dict[str, float | int | str] = {"n_obs": len(path), "long": path["long"].mean()}
    found |= {"short": path["short"].mean(), "turnover": path["turnover"].mean() * rows_per_year}
    for suffix, name in (("", "gross"), ("_net", "net")):
        returns = path[name].to_numpy()
        sharpe = mean_over_spread(returns, returns=True) * np.sqrt(rows_per_year)
        found |= {f"mean{suffix}": returns.mean() * rows_per_year, f"sharpe{suffix}": sharpe}
        found |= {f"volatility{suffix}": path[name].std() * np.sqrt(rows_per_year)}
    found["max_drawdown"] = max_drawdown(compounded(path["net"].to_numpy()))
    steady = "one row" if len(path) < 2 else "returns do not vary"
    return found | {"reason": f"sharpe: {steady}" if np.isnan(found["sharpe_net"]) else ""}


def compounded(returns: np.ndarray) -> np.ndarray:
    """Wealth (n,) from 1; what is lost whole stays lost."""
    return np.cumprod(np.maximum(1.0 + returns, 0.0))


def max_drawdown(wealth: np.ndarray) -> float:
    """Largest loss from an earlier peak, or from 1 at the start, as a share of it."""
    peak = np.maximum(np.maximum.accumulate(wealth), 1.0)
    return float(np.max(1.0 - wealth / peak))


def _words(timed: pd.Series, hold: pd.Series, cost: float, year: Year) -> list[str]:
    rows = f"{count(int(timed['n_obs']), 'row')} {timed['sample']}"
    seen = "" if timed["sample"] == OUT else ", which the fit has seen"
    sides = f"{percent(timed['long'])} long and {percent(timed['short'])} short on average"
    turned = f"turnover {number(timed['turnover'], 3)} a year"
    return [
        f"Traded on {rows}{seen}, {sides}, it has a Sharpe ratio of {_ratio(timed['sharpe_net'])} after costs of "
        f"{cost:g} per unit of turnover ({_ratio(timed['sharpe'])} before them, {turned}), buy and hold of "
        f"{_ratio(hold['sharpe_net'])}; no test was made of the difference.",
        f"Means, volatilities, Sharpe ratios and turnover are {year.words}, and no risk-free rate is subtracted. "
        f"The largest drawdown is {percent(timed['max_drawdown'])} beside {percent(hold['max_drawdown'])}.",
    ]


def _ratio(value: float) -> str:
    return "none" if np.isnan(value) else number(value, 3)
