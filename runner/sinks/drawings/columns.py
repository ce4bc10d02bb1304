"""Columns and rows of the tables that pictures are drawn from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def floats(table: pd.DataFrame, column: str) -> np.ndarray:
    """Values (rows,) of a column as float64."""
    return table[column].to_numpy(dtype=float)


def first_value(table: pd.DataFrame, column: str) -> Any:
    """Value in the first row, as of a column that is the same in every row."""
    return table[column].iloc[0]


def rows_where(table: pd.DataFrame, column: str, value: object) -> pd.DataFrame:
    """Rows whose value in this column is the given one."""
    selected = table[column] == value
    return table[selected]


def total(table: pd.DataFrame, column: str) -> int:
    """Sum of a column of counts."""
    return int(table[column].sum())


def largest(table: pd.DataFrame, column: str) -> int:
    """Largest value of a column of counts."""
    return int(table[column].max())
