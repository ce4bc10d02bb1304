"""What `model:` names: fit, predict, and the tables of a fit."""

from runner.names import lazily

__getattr__, __dir__, __all__ = lazily(
    __name__,
    {
        "Boosting": "boosting",
        "CrossAsset": "moving.cross_asset",
        "Fit": "fit",
        "Fixed": "fixed",
        "Model": "model",
        "Regression": "regression",
        "Rolling": "moving.rolling",
        "Study": "study",
        "TwoPass": "two_pass.two_pass",
    },
)
