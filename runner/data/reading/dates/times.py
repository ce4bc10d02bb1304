"""Times of day as people write them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import time
from typing import Any

LARGEST_MINUTES = 9999  # a larger number has seconds: 93100 is 09:31:00


def clock(values: Sequence[Any]) -> list[int | None]:
    """Seconds after midnight of times of day: 09:31, 09:31:00, or numbers such as 931 and 93100.

    Numbers are hours, minutes and seconds where any has more than four digits, else hours and
    minutes. None where there is no such time of day.
    """
    digits = [_digits(value) for value in values]
    numbers = [number for number in digits if number is not None]
    with_seconds = max(numbers, default=0) > LARGEST_MINUTES
    times = []
    for number, value in zip(digits, values, strict=True):
        if number is None:
            times.append(_of_text(value))
        else:
            times.append(_of_number(number, with_seconds))
    return times


def _digits(value: Any) -> int | None:
    """The number that the value is written as, None where it is none of up to six digits."""
    text = str(value).strip().removesuffix(".0")
    if not (text.isascii() and text.isdigit()):
        return None
    if len(text) > len("235959"):
        return None
    return int(text)


def _of_number(number: int, seconds: bool) -> int | None:
    """Seconds after midnight of a number such as 931 or 93100; None where it is no time of day."""
    minute_of_day = number
    second = 0
    if seconds:
        minute_of_day, second = divmod(number, 100)
    hour, minute = divmod(minute_of_day, 100)
    if hour >= 24 or minute >= 60 or second >= 60:
        return None
    return hour * 3600 + minute * 60 + second


def _of_text(value: Any) -> int | None:
    """Seconds after midnight of a time or its text; None where it is no local time of day."""
    moment = value
    if not isinstance(value, time):
        try:
            moment = time.fromisoformat(str(value).strip())
        except ValueError:
            return None
    if moment.tzinfo:
        return None
    return moment.hour * 3600 + moment.minute * 60 + moment.second
