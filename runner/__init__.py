"""A declarative experiment runner for factor regressions."""

from runner.names import lazily

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazily(
    __name__,
    {
        "DataError": "errors",
        "EstimationError": "errors",
        "RunnerError": "errors",
        "SpecError": "errors",
        "compare": "api",
        "compose": "api",
        "load": "api",
        "panel": "api",
        "run": "api",
        "sweep": "api",
    },
)
