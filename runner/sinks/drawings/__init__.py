"""Pictures of findings: each takes the table of a finding and gives a figure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from runner.sinks.drawings.analyses.by_group import BY_GROUP
from runner.sinks.drawings.analyses.classification import curves, equity
from runner.sinks.drawings.analyses.forecast_fit import forecast_fit
from runner.sinks.drawings.analyses.information import INFORMATION
from runner.sinks.drawings.analyses.performance import nested, security_market_line, style_box
from runner.sinks.drawings.analyses.portfolio import PORTFOLIO
from runner.sinks.drawings.analyses.risk import RISK
from runner.sinks.drawings.analyses.risk_estimates import RISK_ESTIMATES
from runner.sinks.drawings.analyses.robustness import ROBUSTNESS
from runner.sinks.drawings.analyses.sizing import SIZING
from runner.sinks.drawings.bootstrap import bootstrap
from runner.sinks.drawings.importance import importance
from runner.sinks.drawings.path import path
from runner.sinks.drawings.premia import pricing

if TYPE_CHECKING:
    import pandas as pd

# By the `picture` of a finding. Adding one is adding a function and a line.
DRAWINGS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "bootstrap": bootstrap,
    **BY_GROUP,
    "curves": curves,
    "equity": equity,
    "forecast_fit": forecast_fit,
    "importance": importance,
    **INFORMATION,
    "nested": nested,
    "path": path,
    **PORTFOLIO,
    "pricing": pricing,
    **RISK,
    **RISK_ESTIMATES,
    **ROBUSTNESS,
    **SIZING,
    "security_market_line": security_market_line,
    "style_box": style_box,
}
