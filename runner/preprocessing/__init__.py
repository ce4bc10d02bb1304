"""Steps that change features or the target before the fit."""

from runner.names import lazily

STEPS = {
    "clip": "steps",
    "demean": "steps",
    "drop_sparse": "steps",
    "fill": "steps",
    "forward_fill": "steps",
    "log": "steps",
    "neutralise": "steps",
    "rank": "steps",
    "universe": "steps",
    "winsorise": "steps",
    "zscore": "steps",
}

__getattr__, __dir__, __all__ = lazily(__name__, {**STEPS, "declares": "traits"})
