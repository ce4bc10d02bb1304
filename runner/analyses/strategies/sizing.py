"""What a better forecast of volatility is worth: positions sized by it, by a rolling estimate, and
by foresight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from runner.analyses.forecasts.forecasts import OUT
from runner.analyses.forecasts.judged import judged
from runner.analyses.strategies.trading import compounded, max_drawdown
from runner.data.calendar import year_of
from runner.errors import DataError
from runner.features.factors import Quantile, Signal
from runner.numerics.variation import mean_over_spread
from runner.panels.finding import Finding
from runner.schema.settings import NotNegative, Positive, Rows
from runner.text import count, number, percent

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.study import Study

ROLLING, FORECAST, FORESIGHT, UNSIZED = "rolling", "forecast", "foresight", "unsized"
LEGS = ("long", "short", "both")
COLUMNS = ["sample", "sizing", "leg", "n_obs", "dates", "names", "at_cap", "at_most", "gross"]
COLUMNS += ["mean", "volatility", "sharpe", "mean_net", "sharpe_net", "turnover", "max_drawdown"]
ROUNDING = 1e-12  # relative, of a weight clipped to its bound
WEALTH = ["date", "leg", "sizing", "wealth", "sample"]
MOMENTUM, REALISED = "compound(ret, 126)", "sqrt(rows_per_year / 21 * sum(ret * ret, 21))"


def sizing(
    study: Study,
    *,
    signal: Signal = MOMENTUM,
    rolling: Signal = REALISED,
    quantile: Quantile = 0.3,
    target: Positive = 0.2,
    cap: Positive = 3.0,
    most: Positive = 0.05,
    gross: Positive = 1.0,
    cost: NotNegative = 0.0005,
    hold: Rows = 21,
    rows_per_year: Positive | None = None,
) -> Finding:
    """Return, Sharpe ratio, drawdown and turnover of portfolios that differ in the volatility they
    are sized by.

    Every `hold` rows from the first forecast on, the assets in the top share `quantile` by the
    signal of row t are bought and those in the bottom share sold: alpha is one over their number,
    or minus that. The weight is alpha min(target / sigma, cap), at most `most` a name; a leg whose
    weights add up to more than `gross` is scaled down to it. Sigma is the expression `rolling` at
    row t, the forecast made at row t, or the target itself, which nobody knows: `foresight` is what
    a perfect forecast would have made. `unsized` has alpha alone, within the same bounds. All take
    the same assets, those with a signal, all three sigmas and a return to the next row; a forecast
    of zero or less is taken for a sigma that makes the cap bind.

    Weights are held until the next time, their drift is not traded back; an asset without a return
    earns nothing on that row. Each pays `cost` (decimals) per unit of turnover, the sum of the
    changes of its weights, the first purchase included. Mean and volatility (ddof 1) are annual, of
    simple returns of rows, `rows_per_year` of them (None: as many as the calendar of the panel
    has); cash earns nothing and no risk-free rate is subtracted. The drawdown is of compounded
    wealth after costs. `at_cap` and `at_most` are the shares of positions at which the cap binds
    and of those as large as a name may be; where the bounds give all three sizings the same
    weights, the words say that their comparison says nothing about the forecasts.

    Raises:
        DataError: a target that is no forward volatility; several forecasts of a row; no asset to
            hold.
    """
    import pandas as pd

    year = year_of(study.panel.calendar, rows_per_year)
    bounds = Bounds(target, cap, most, gross)
    sample, books, held = _books(study, signal, rolling, quantile, bounds, hold)
    rows = []
    for name, weights in books.items():
        for leg in LEGS:
            path = _path(_leg(weights, leg), held, cost)
            at_cap = _share(held.capped[name], _leg(weights, leg))
            about = {"sample": sample, "sizing": name, "leg": leg, "at_cap": at_cap}
            rows.append(about | _performance(path, _leg(weights, leg), held, most, year.rows))
    table = pd.DataFrame(rows, columns=COLUMNS)
    cells = table.set_index(["sizing", "leg"])
    metrics = {
        f"sharpe_{name}_{leg}": float(cells.loc[(name, leg), "sharpe_net"])
        for name in books
        for leg in LEGS
    }
    metrics |= {
        f"max_drawdown_{name}": float(cells.loc[(name, "both"), "max_drawdown"]) for name in books
    }
    annual = f"Means, volatilities, Sharpe ratios and turnover are {year.words}."
    words = [*_words(cells, sample, cost, hold, held), *_on_bounds(books, held, bounds), annual]
    wealth = _own_wealth(sample, books, held, cost)
    return Finding(table, metrics, words, wealth=wealth)


def sizing_wealth(
    study: Study,
    *,
    signal: Signal = MOMENTUM,
    rolling: Signal = REALISED,
    quantile: Quantile = 0.3,
    target: Positive = 0.2,
    cap: Positive = 3.0,
    most: Positive = 0.05,
    gross: Positive = 1.0,
    cost: NotNegative = 0.0005,
    hold: Rows = 21,
) -> Finding:
    """Wealth of the same portfolios after costs: 1 on the first row, then what the weights of the
    row before made.

    Raises:
        DataError: as `sizing`.
    """
    import pandas as pd

    sample, books, held = _books(
        study, signal, rolling, quantile, Bounds(target, cap, most, gross), hold
    )
    parts = []
    for leg in LEGS:
        for name, weights in books.items():
            wealth = np.append(1.0, compounded(_path(_leg(weights, leg), held, cost).net))
            made = pd.DataFrame(
                {"date": held.known, "leg": leg, "sizing": name, "wealth": wealth, "sample": sample}
            )
            parts.append(made)
    own = _own_wealth(sample, books, held, cost)
    return Finding(pd.concat(parts, ignore_index=True)[WEALTH], picture="sizing_wealth", wealth=own)


def _own_wealth(
    sample: str, books: dict[str, np.ndarray], held: Held, cost: float
) -> pd.Series | None:
    """Wealth after costs of both legs sized by the forecast; none in sample, where a fit has seen
    what it trades.
    """
    import pandas as pd

    if sample != OUT:
        return None
    path = _path(_leg(books[FORECAST], "both"), held, cost)
    return pd.Series(np.append(1.0, compounded(path.net)), held.known)


class Bounds(NamedTuple):
    """Volatility aimed at, most that a position grows by, most of a name, most of a leg."""

    target: float
    cap: float
    most: float
    gross: float


class Held(NamedTuple):
    """What the portfolios of all sizings share.

    Attributes:
        known: (D + 1,) the first row, then those at which the return of each row held is known.
        at: (D,) which weights are held, counted from 0.
        returns: (D, A) to the next row, zero where there is none.
        missing: how many returns of assets held are not known.
        negative: how many forecasts of assets held are zero or less.
        capped: of each sizing, (R, A) whether the cap binds.
    """

    known: pd.DatetimeIndex
    at: np.ndarray
    returns: np.ndarray
    missing: int
    negative: int
    capped: dict[str, np.ndarray]


class Path(NamedTuple):
    """Per row held (D,): return before and after costs, turnover."""

    gross: np.ndarray
    net: np.ndarray
    turnover: np.ndarray


def legs(signal: np.ndarray, use: np.ndarray, quantile: float) -> np.ndarray:
    """Alpha (R, A): one over the number in the top share by the signal, minus that at the bottom,
    zero between.

    Shares are by rank among the assets in use; ties share their mean rank, so that equal assets are
    treated alike.
    """
    import pandas as pd

    ranked = pd.DataFrame(np.where(use, signal, np.nan)).rank(axis=1)
    n = use.sum(axis=1)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        place = (ranked.to_numpy() - 0.5) / n
        top, bottom = place > 1.0 - quantile, place < quantile
        found = top / top.sum(axis=1, keepdims=True) * 1.0
        sold = bottom / bottom.sum(axis=1, keepdims=True)
    return np.where(top, found, 0.0) - np.where(bottom, sold, 0.0)


def growth(sigma: np.ndarray, bounds: Bounds) -> np.ndarray:
    """min(target / sigma, cap) (R, A); the cap where sigma is not above zero."""
    known = np.isfinite(sigma) & (sigma > 0.0)
    aimed = bounds.target / np.where(known, sigma, np.nan)
    return np.where(known, np.minimum(aimed, bounds.cap), bounds.cap)


def sized(alpha: np.ndarray, sigma: np.ndarray | None, bounds: Bounds) -> np.ndarray:
    """Weights (R, A): alpha min(target / sigma, cap), each at most `most`, each leg at most
    `gross`.
    """
    scale = np.ones(alpha.shape) if sigma is None else growth(sigma, bounds)
    weights = np.clip(alpha * scale, -bounds.most, bounds.most)
    for side in (1.0, -1.0):
        own = side * weights > 0.0
        size = np.abs(np.where(own, weights, 0.0)).sum(axis=1, keepdims=True)
        weights = np.where(
            own, weights * np.minimum(1.0, bounds.gross / np.maximum(size, bounds.gross)), weights
        )
    return weights


def _books(
    study: Study, signal: str, rolling: str, quantile: float, bounds: Bounds, hold: int
) -> tuple[str, dict[str, np.ndarray], Held]:
    """The sample, weights (R, A) of each sizing at the R times of trading, and what they share."""
    _refuse(study)
    sample, table = judged(study)
    if table.duplicated(["date", "asset"]).any():
        raise DataError(
            "several folds forecast the same row; allowed: a validation with one forecast of each"
        )
    forecast = table.pivot(index="date", columns="asset", values="prediction")
    actual = table.pivot(index="date", columns="asset", values="y")
    rows, names = forecast.index, forecast.columns
    sigmas = {ROLLING: _values(study, "rolling", rolling), FORECAST: forecast, FORESIGHT: actual}
    sigmas = {
        name: one.reindex(index=rows, columns=names).to_numpy(dtype=float)
        for name, one in sigmas.items()
    }
    ahead = (
        study.market.returns().shift(-1).reindex(index=rows, columns=names).to_numpy(dtype=float)
    )
    order = (
        _values(study, "signal", signal).reindex(index=rows, columns=names).to_numpy(dtype=float)
    )
    use = np.isfinite(np.stack([order, ahead, *sigmas.values()])).all(axis=0)
    times = np.arange(0, len(rows), hold)
    alpha = legs(order[times], use[times], quantile)
    if not alpha.any():
        raise DataError(
            "no asset to hold: none has a signal, a volatility and a return on the dates of trading"
        )
    books = {UNSIZED: sized(alpha, None, bounds)}
    books |= {name: sized(alpha, sigma[times], bounds) for name, sigma in sigmas.items()}
    at = np.arange(len(rows)) // hold
    dates = study.market.dates
    known = dates[np.append(dates.get_indexer(rows)[0], dates.get_indexer(rows) + 1)]
    missing = int((np.isnan(ahead) & (alpha[at] != 0.0)).sum())
    negative = int(((sigmas[FORECAST][times] <= 0.0) & (alpha != 0.0)).sum())
    capped = {name: growth(sigma[times], bounds) >= bounds.cap for name, sigma in sigmas.items()}
    capped[UNSIZED] = np.zeros(alpha.shape, dtype=bool)
    return sample, books, Held(known, at, np.nan_to_num(ahead), missing, negative, capped)


def _refuse(study: Study) -> None:
    """Targets that are no volatility; those of the user are taken at their word."""
    module, _, name = str(study.settings.get("_target_", "")).rpartition(".")
    if study.panel.horizon < 1 or (module == "runner.targets" and name != "forward_volatility"):
        raise DataError(
            f"positions are sized by a volatility ahead; given {name}; allowed: target=forward_volatility"
        )


def _values(study: Study, where: str, text: str) -> pd.DataFrame:
    """The expression on the data, by asset.

    Raises:
        DataError: what the data cannot give, or what is the same for every asset.
    """
    import pandas as pd

    from runner.features.expressions import Expression
    from runner.panels.panel import evaluate

    found = evaluate(where, Expression(text), study.market)
    if not isinstance(found, pd.DataFrame):
        raise DataError(f"{where}: {text!r} is the same for every asset; allowed: values by asset")
    return found


def _leg(weights: np.ndarray, leg: str) -> np.ndarray:
    return {"long": np.maximum(weights, 0.0), "short": np.minimum(weights, 0.0), "both": weights}[
        leg
    ]


def _path(weights: np.ndarray, held: Held, cost: float) -> Path:
    gross = (weights[held.at] * held.returns).sum(axis=1)
    traded = np.abs(np.diff(weights, axis=0, prepend=0.0)).sum(axis=1)
    turnover = np.where(np.diff(held.at, prepend=-1) > 0, traded[held.at], 0.0)
    return Path(gross, gross - cost * turnover, turnover)


def _performance(
    path: Path, weights: np.ndarray, held: Held, most: float, year: float
) -> dict[str, float]:
    inside, own = np.abs(weights[held.at]), weights != 0.0
    found: dict[str, float] = {
        "n_obs": len(path.gross),
        "dates": len(weights),
        "names": own.sum(axis=1).mean(),
    }
    found |= {"at_most": _share(_at_most(weights, most), weights)}
    found |= {
        "gross": inside.sum(axis=1).mean(),
        "volatility": path.gross.std(ddof=1) * np.sqrt(year),
    }
    for suffix, values in (("", path.gross), ("_net", path.net)):
        found[f"mean{suffix}"] = values.mean() * year
        found[f"sharpe{suffix}"] = mean_over_spread(values, returns=True) * np.sqrt(year)
    return found | {
        "turnover": path.turnover.mean() * year,
        "max_drawdown": max_drawdown(compounded(path.net)),
    }


def _at_most(weights: np.ndarray, most: float) -> np.ndarray:
    """(R, A) whether a position is as large as a name may be, up to rounding."""
    return np.asarray(np.abs(weights) >= most * (1.0 - ROUNDING))


def _share(where: np.ndarray, weights: np.ndarray) -> float:
    """Share of the positions (weights that are not zero) at which a mask (R, A) is true."""
    positions = weights != 0.0
    return float((where & positions).sum() / max(positions.sum(), 1))


def _on_bounds(books: dict[str, np.ndarray], held: Held, bounds: Bounds) -> list[str]:
    """At how many positions the cap and the bound of a name bind, and whether that leaves anything
    to compare.
    """
    by = {
        FORECAST: "by the forecast",
        ROLLING: "by the rolling estimate",
        FORESIGHT: "by foresight",
    }
    at_cap = {name: _share(held.capped[name], books[name]) for name in by}
    at_most = {name: _share(_at_most(books[name], bounds.most), books[name]) for name in by}
    of_cap = ", ".join(f"{percent(at_cap[name])} {words}" for name, words in by.items())
    of_most = ", ".join(f"{percent(at_most[name])} {words}" for name, words in by.items())
    found = [
        f"Share of positions at which the cap of {bounds.cap:g} binds: {of_cap}.",
        f"Share of positions at the bound of {percent(bounds.most)} a name: {of_most}.",
    ]
    same = all(np.allclose(books[name], books[FORECAST], rtol=ROUNDING, atol=0.0) for name in by)
    if same:
        found.append(
            "The bounds hold every position: the three portfolios have the same weights whatever volatility is "
            "forecast, and their comparison says nothing about the forecasts."
        )
    return found


def _words(cells: pd.DataFrame, sample: str, cost: float, hold: int, held: Held) -> list[str]:
    told = [_compared(cells, leg) for leg in LEGS if leg != "short"]
    both = cells.xs("both", level="leg")
    rows = count(int(both["n_obs"].iloc[0]), "row")
    found = [
        f"Sharpe ratios a year after costs of {cost:g} per unit of turnover, on {rows} {sample}, traded every "
        f"{count(hold, 'row')}: {'; '.join(told)}. No test was made of the differences.",
        f"Foresight is no strategy: it takes the volatility that came, as a perfect forecast would have had it. "
        f"Largest drawdown of both legs: {percent(both.loc[FORECAST, 'max_drawdown'])} by the forecast, "
        f"{percent(both.loc[ROLLING, 'max_drawdown'])} by the rolling estimate, "
        f"{percent(both.loc[FORESIGHT, 'max_drawdown'])} by foresight.",
    ]
    if held.missing:
        found.append(
            f"{count(held.missing, 'row')} of assets held without a return: they earn nothing there."
        )
    if held.negative:
        found.append(
            f"{count(held.negative, 'forecast')} of assets held at zero or below: the cap binds there."
        )
    return found


def _compared(cells: pd.DataFrame, leg: str) -> str:
    ratio = cells.xs(leg, level="leg")["sharpe_net"]
    name = "both legs" if leg == "both" else f"{leg} leg"
    return (
        f"{name} {number(ratio[FORECAST], 3)} by the forecast, {number(ratio[ROLLING], 3)} by the rolling estimate, "
        f"{number(ratio[FORESIGHT], 3)} by foresight, {number(ratio[UNSIZED], 3)} unsized"
    )
