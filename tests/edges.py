"""Features and targets of specs that say what drawn ones seldom do."""

from __future__ import annotations

import numpy as np
import pandas as pd

from runner.data.market import Market
from runner.errors import DataError
from runner.targets import Target

ROWS = 260  # of the data


def calendar_day(market: Market) -> pd.DataFrame:
    """Day of the month: it is the same whatever the data are."""
    days = np.repeat(market.dates.day.to_numpy(dtype=float)[:, None], len(market.assets), axis=1)
    return pd.DataFrame(days, market.dates, market.assets)


def rounded_return(market: Market) -> Target:
    """Returns of the row in whole steps of two per cent, as of a penny stock."""
    return Target((market.returns() / 0.02).round() * 0.02, 0)


def of_long_history(market: Market) -> pd.DataFrame:
    """Returns over five rows, refused of data that end earlier than all of them."""
    if len(market.dates) < ROWS:
        raise DataError(f"needs {ROWS} rows")
    return market.returns(5)
