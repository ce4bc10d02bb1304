"""Fama-French factors and portfolios, monthly, as the linearmodels package ships them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import DataError
from runner.schema.settings import Date, Ticker

if TYPE_CHECKING:
    from runner.data.market import Market

FACTORS = ["MktRF", "SMB", "HML", "Mom", "RF"]


@dataclass(frozen=True)
class French:
    """12 industries and 18 sorted portfolios, 1949-01..2017-03, decimal returns per month.

    The factors MktRF, SMB, HML, Mom and the risk-free rate RF are series. Rows are stamped with the
    last day of their month, when the return is known (the file stamps the first). Source: Kenneth
    R. French's data library, by way of `linearmodels.datasets.french`.

    Attributes:
        assets: portfolios to model, such as S1V5; null takes all 30.
        start, end: first and last date, both included.
    """

    assets: list[Ticker] | None = None
    start: Date | None = None
    end: Date | None = None

    def load(self) -> Market:
        """The market (T months, N portfolios) with the field `ret`.

        Raises:
            DataError: a portfolio that is not in the file, or a date range without rows.
        """
        import pandas as pd

        from runner.data.assets import choose_assets
        from runner.data.fields import Fields
        from runner.data.market import Market

        table = pd.read_csv(_shipped_file(), index_col="dates", parse_dates=["dates"])
        to_month_end = pd.offsets.MonthEnd(0)
        month_ends = table.index + to_month_end
        table.index = month_ends.rename("date")
        portfolios = table.columns.drop(FACTORS)
        assets = choose_assets(self.assets, portfolios)
        frames = {"ret": table[assets]}
        fields = Fields.of_frames(frames)
        market = Market("linearmodels.datasets.french", fields, table[FACTORS])
        return market.between(self.start, self.end)


def _shipped_file() -> Path:
    """The file itself: importing linearmodels to read it would cost half a second."""
    package = find_spec("linearmodels")
    if package is None or package.origin is None:
        raise DataError("data: the French data ships with linearmodels, which is not installed")
    folder = Path(package.origin).parent
    return folder / "datasets" / "french" / "french.csv.bz2"
