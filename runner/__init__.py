"""A declarative experiment runner for factor regressions."""

import sys

from runner.names import EarlierModules, lazily

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazily(
    __name__,
    {
        "DataError": "errors",
        "EstimationError": "errors",
        "RunnerError": "errors",
        "SpecError": "errors",
        "check": "api",
        "compare": "api",
        "compose": "api",
        "forecast": "api",
        "load": "api",
        "panel": "api",
        "run": "api",
        "sweep": "api",
    },
)

sys.meta_path.append(EarlierModules())
