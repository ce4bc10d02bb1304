"""What a session in Python holds: reports, comparisons, data, as DataFrames and pictures."""

from runner.names import lazily

__getattr__, __dir__, __all__ = lazily(
    __name__,
    {
        "Check": "check",
        "Comparison": "comparison",
        "Picture": "pictures",
        "Report": "report",
    },
)
