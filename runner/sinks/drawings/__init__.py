"""Pictures of what estimators and analyses found: each takes the table of a finding and gives a figure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

# By the `picture` of a finding. Adding one is adding a function and a line.
DRAWINGS: dict[str, Callable[[pd.DataFrame], Any]] = {}
