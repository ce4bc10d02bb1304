"""What a better forecast of volatility is worth: positions sized by it and by other estimates."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from runner.analyses.forecasts.forecasts import OUT
from runner.analyses.strategies.books import (
    FORECAST,
    FORESIGHT,
    ROLLING,
    UNSIZED,
    Bounds,
    Held,
    books_of,
)
from runner.analyses.strategies.trading import compounded, max_drawdown, wealth_from_one
from runner.data.calendar import year_of
from runner.features.factors import Quantile, Signal
from runner.numerics.variation import mean_over_spread
from runner.panels.finding import Finding
from runner.schema.settings import NotNegative, Positive, Rows
from runner.text import count, number, percent

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.study import Study

LEGS = ("long", "short", "both")
COLUMNS = ["sample", "sizing", "leg", "n_obs", "dates", "names", "at_cap", "at_most", "gross"]
COLUMNS += ["mean", "volatility", "sharpe", "mean_net", "sharpe_net", "turnover", "max_drawdown"]
ROUNDING = 1e-12  # relative, of a weight clipped to its bound
WEALTH = ["date", "leg", "sizing", "wealth", "sample"]
MOMENTUM, REALISED = "compound(ret, 126)", "sqrt(rows_per_year / 21 * sum(ret * ret, 21))"
# of the volatilities that are compared, in words
BY = {FORECAST: "by the forecast", ROLLING: "by the rolling estimate", FORESIGHT: "by foresight"}


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
    """Performance of portfolios that differ in the volatility that they are sized by.

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
    sample, books, held = books_of(study, signal, rolling, quantile, bounds, hold)
    rows = []
    for name, book in books.items():
        for leg in LEGS:
            weights = _leg(book, leg)
            row: dict[str, object] = {"sample": sample, "sizing": name, "leg": leg}
            row["at_cap"] = _share(held.capped[name], weights)
            row["at_most"] = _share(_at_most(weights, most), weights)
            rows.append(row | _performance(weights, held, cost, year.rows))
    table = pd.DataFrame(rows, columns=COLUMNS)
    cells = table.set_index(["sizing", "leg"])
    words = _words(cells, sample, cost, hold, held)
    words += _on_bounds(books, held, bounds)
    words.append(f"Means, volatilities, Sharpe ratios and turnover are {year.words}.")
    wealth, turnover = _own_record(sample, books, held, cost)
    metrics = _metrics(cells, list(books))
    return Finding(table, metrics, words, wealth=wealth, turnover=turnover)


def _metrics(cells: pd.DataFrame, sizings: list[str]) -> dict[str, float]:
    """Sharpe ratios after costs by sizing and leg, and the drawdown of both legs by sizing."""
    metrics = {}
    sharpe = cells["sharpe_net"]
    drawdown = cells["max_drawdown"]
    for name in sizings:
        for leg in LEGS:
            metrics[f"sharpe_{name}_{leg}"] = float(sharpe[name, leg])
    for name in sizings:
        metrics[f"max_drawdown_{name}"] = float(drawdown[name, "both"])
    return metrics


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
    """Wealth of the same portfolios after costs.

    1 on the first row, then what the weights of the row before earned.

    Raises:
        DataError: as `sizing`.
    """
    import pandas as pd

    bounds = Bounds(target, cap, most, gross)
    sample, books, held = books_of(study, signal, rolling, quantile, bounds, hold)
    parts = []
    for leg in LEGS:
        for name, book in books.items():
            path = _path(_leg(book, leg), held, cost)
            part = pd.DataFrame({"date": held.known, "leg": leg, "sizing": name})
            part["wealth"] = wealth_from_one(path.net)
            part["sample"] = sample
            parts.append(part)
    table = pd.concat(parts, ignore_index=True)[WEALTH]
    wealth, turnover = _own_record(sample, books, held, cost)
    return Finding(table, picture="sizing_wealth", wealth=wealth, turnover=turnover)


def _own_record(
    sample: str, books: dict[str, np.ndarray], held: Held, cost: float
) -> tuple[pd.Series | None, pd.Series | None]:
    """Wealth after costs and turnover of both legs sized by the forecast, by date.

    None in sample, where the fit has seen what it trades.
    """
    import pandas as pd

    if sample != OUT:
        return None, None
    path = _path(books[FORECAST], held, cost)
    wealth = pd.Series(wealth_from_one(path.net), held.known)
    return wealth, pd.Series(path.turnover, held.known[:-1])


class Path(NamedTuple):
    """Per row held (D,): return before and after costs, turnover."""

    gross: np.ndarray
    net: np.ndarray
    turnover: np.ndarray


def _leg(weights: np.ndarray, leg: str) -> np.ndarray:
    if leg == "long":
        return np.maximum(weights, 0.0)
    if leg == "short":
        return np.minimum(weights, 0.0)
    return weights


def _path(weights: np.ndarray, held: Held, cost: float) -> Path:
    weights_held = weights[held.at]
    earned = weights_held * held.returns
    gross = earned.sum(axis=1)
    trades = np.abs(np.diff(weights, axis=0, prepend=0.0)).sum(axis=1)
    trading_row = np.diff(held.at, prepend=-1) > 0
    turnover = np.where(trading_row, trades[held.at], 0.0)
    costs = cost * turnover
    return Path(gross, gross - costs, turnover)


def _performance(
    weights: np.ndarray, held: Held, cost: float, rows_per_year: float
) -> dict[str, float]:
    """Performance of weights (R, A), annual."""
    path = _path(weights, held, cost)
    root = np.sqrt(rows_per_year)
    is_held = weights != 0.0
    names = is_held.sum(axis=1)
    weights_held = weights[held.at]
    sizes = np.abs(weights_held)
    size = sizes.sum(axis=1)
    numbers: dict[str, float] = {"n_obs": len(path.gross), "dates": len(weights)}
    numbers["names"] = names.mean()
    numbers["gross"] = size.mean()
    numbers["mean"] = path.gross.mean() * rows_per_year
    numbers["volatility"] = path.gross.std(ddof=1) * root
    numbers["sharpe"] = mean_over_spread(path.gross, returns=True) * root
    numbers["mean_net"] = path.net.mean() * rows_per_year
    numbers["sharpe_net"] = mean_over_spread(path.net, returns=True) * root
    numbers["turnover"] = path.turnover.mean() * rows_per_year
    wealth = compounded(path.net)
    numbers["max_drawdown"] = max_drawdown(wealth)
    return numbers


def _at_most(weights: np.ndarray, most: float) -> np.ndarray:
    """(R, A) whether a position is as large as a name may be, up to rounding."""
    return np.asarray(np.abs(weights) >= most * (1.0 - ROUNDING))


def _share(where: np.ndarray, weights: np.ndarray) -> float:
    """Share of the positions (weights that are not zero) at which a mask (R, A) is true."""
    positions = weights != 0.0
    is_hit = where & positions
    hits = is_hit.sum()
    return float(hits / max(positions.sum(), 1))


def _on_bounds(books: dict[str, np.ndarray], held: Held, bounds: Bounds) -> list[str]:
    """At how many positions the bounds bind, and whether that leaves anything to compare."""
    at_cap = []
    at_most = []
    same = True
    for name, words in BY.items():
        weights = books[name]
        capped = _share(held.capped[name], weights)
        bounded = _share(_at_most(weights, bounds.most), weights)
        at_cap.append(f"{percent(capped)} {words}")
        at_most.append(f"{percent(bounded)} {words}")
        same = same and np.allclose(weights, books[FORECAST], rtol=ROUNDING, atol=0.0)
    cap = f"cap of {bounds.cap:g}"
    most_text = percent(bounds.most)
    bound = f"bound of {most_text} a name"
    sentences = [f"Share of positions at which the {cap} binds: {', '.join(at_cap)}."]
    sentences.append(f"Share of positions at the {bound}: {', '.join(at_most)}.")
    if same:
        sentences.append(
            "The bounds bind at every position: the three portfolios have the same weights "
            "whatever volatility is forecast, "
            "and their comparison says nothing about the forecasts."
        )
    return sentences


def _words(cells: pd.DataFrame, sample: str, cost: float, hold: int, held: Held) -> list[str]:
    both = cells.xs("both", level="leg")
    rows = count(int(both["n_obs"].iloc[0]), "row")
    long_leg = _ratios(cells, "long", "long leg")
    both_legs = _ratios(cells, "both", "both legs")
    drawdown = both["max_drawdown"]
    drawdowns = ", ".join(f"{percent(drawdown[name])} {words}" for name, words in BY.items())
    every = count(hold, "row")
    ratios = (
        f"Sharpe ratios a year after costs of {cost:g} per unit of turnover, on {rows} {sample}, "
        f"traded every {every}: {long_leg}; {both_legs}. The differences were not tested."
    )
    foresight = (
        "Foresight is no strategy: it takes the volatility that came, "
        "as a perfect forecast would have had it. "
        f"Largest drawdown of both legs: {drawdowns}."
    )
    sentences = [ratios, foresight]
    if held.missing:
        missing = count(held.missing, "row")
        sentences.append(f"{missing} of assets held without a return: they earn nothing there.")
    if held.negative:
        negative = count(held.negative, "forecast")
        sentences.append(f"{negative} of assets held at zero or below: the cap binds there.")
    return sentences


def _ratios(cells: pd.DataFrame, leg: str, name: str) -> str:
    """Sharpe ratios after costs of a leg, by each sizing."""
    sharpe = cells.xs(leg, level="leg")["sharpe_net"]
    ratios = [f"{number(sharpe[sizing], 3)} {words}" for sizing, words in BY.items()]
    ratios.append(f"{number(sharpe[UNSIZED], 3)} unsized")
    ratios_text = ", ".join(ratios)
    return f"{name} {ratios_text}"
