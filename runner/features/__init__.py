"""Functions of the market, one value a date and asset."""

from runner.names import lazily

__getattr__, __dir__, __all__ = lazily(
    __name__,
    {
        "beta": "functions",
        "change": "functions",
        "field": "functions",
        "group_mean": "factors",
        "lagged_return": "functions",
        "long_short": "factors",
        "looks_back": "lookback",
        "market_return": "functions",
        "momentum": "functions",
        "portfolio": "factors",
        "realised_volatility": "functions",
        "shared": "functions",
        "volatility": "functions",
        "volume_surprise": "functions",
    },
)
