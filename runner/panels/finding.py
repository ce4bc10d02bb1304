"""What an analysis or an estimator found: a table, a few numbers, a few sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pandas as pd


class Finding(NamedTuple):
    """What an analysis or an estimator found beyond coefficients.

    Attributes:
        table: tidy; written as a CSV file and shown on the page.
        metrics: flat numbers for the comparison of runs, logged as `<name of the analysis>/<key>`.
        words: sentences of the reading, no surer than the table.
        picture: which of `runner.sinks.drawings.DRAWINGS` draws the table, or a function of the
            table that gives a matplotlib Figure; empty for none.
        wealth: series by date of the wealth of the run's own strategy, out of sample and after
            costs, from 1 at the first row on; a sweep judges its returns beside those of the other
            jobs. None: no strategy.
        turnover: series by date of trading, the sum of the changes of the strategy's weights; None
            where nobody counted.
    """

    table: pd.DataFrame
    metrics: Mapping[str, float] = MappingProxyType({})
    words: Sequence[str] = ()
    picture: str | Callable[[pd.DataFrame], Any] = ""
    wealth: pd.Series | None = None
    turnover: pd.Series | None = None
