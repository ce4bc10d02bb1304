"""Splitters, folds, scores and tests of forecasts."""

from runner.names import lazily

__getattr__, __dir__, __all__ = lazily(
    __name__,
    {
        "Combinatorial": "cross_validation",
        "Fold": "folds",
        "HoldOut": "splitters",
        "KFold": "cross_validation",
        "NoValidation": "splitters",
        "Scheme": "splitters",
        "Splitter": "splitters",
        "WalkForward": "splitters",
    },
)
