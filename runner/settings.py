"""Types of settings: what a value in a spec may be.

Each is an `Annotated` type whose last argument takes the value and raises ValueError with what is
allowed. The spec check calls it; the annotated signature is thereby the whole schema.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal


def parse_date(value: str) -> datetime:
    """An ISO date or date with time, without time zone.

    Raises:
        ValueError: not an ISO date.
    """
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("allowed: a date such as 2021-12-31") from None
    if moment.tzinfo:
        raise ValueError("allowed: a date or time without time zone")
    return moment


def check_ticker(value: str) -> None:
    """A name of an asset as its source writes it.

    Raises:
        ValueError: empty, or with characters that no exchange uses (a path, a line break).
    """
    if not value or len(value) > 64 or any(c in "/\\\n\r\t\0" for c in value) or ".." in value:
        raise ValueError("allowed: a name of 1 to 64 characters without slashes or line breaks")


def _between(low: float, high: float, inclusive: bool) -> Callable[[float], None]:
    def check(value: float) -> None:
        inside = low <= value <= high if inclusive else low < value < high
        if not inside:
            above = f"from {low:g}" if inclusive else f"above {low:g}"
            below = "" if high == float("inf") else f" to {high:g}" if inclusive else f" and below {high:g}"
            raise ValueError(f"allowed: a number {above}{below}")

    return check


Date = Annotated[str, parse_date]
Ticker = Annotated[str, check_ticker]
Rows = Annotated[int, _between(1, float("inf"), inclusive=True)]
Count = Annotated[int, _between(0, float("inf"), inclusive=True)]
Window = Annotated[int, _between(2, float("inf"), inclusive=True)]
Share = Annotated[float, _between(0.0, 1.0, inclusive=False)]
NotNegative = Annotated[float, _between(0.0, float("inf"), inclusive=True)]
UpToOne = Annotated[float, _between(0.0, 1.0, inclusive=True)]
Positive = Annotated[float, _between(0.0, float("inf"), inclusive=False)]
Frequency = Literal["week", "month"]
