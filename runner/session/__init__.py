"""What a session in Python holds: a report and a comparison, as DataFrames and pictures."""

from runner.names import lazily

__getattr__, __dir__, __all__ = lazily(
    __name__,
    {
        "Comparison": "comparison",
        "Picture": "pictures",
        "Report": "report",
    },
)
