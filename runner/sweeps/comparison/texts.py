"""Choices as texts, cut so that they can still be told apart."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest
from typing import Any

from runner.text import number


def value_text(value: Any) -> str:
    """A choice as text."""
    return number(float(value)) if isinstance(value, float) else str(value)


def value_texts(values: Iterable[Any], most: int) -> list[str]:
    """Choices as texts of at most so many letters; what would read alike is cut about where it
    first differs.
    """
    whole = [value_text(value) for value in values]
    found = [brief(text, most) for text in whole]
    for cut in set(found):
        alike = {text for text, one in zip(whole, found, strict=True) if one == cut}
        if len(alike) > 1:
            letters = enumerate(zip_longest(*alike))
            start = max(next(at for at, these in letters if len(set(these)) > 1) - most // 3, 0)
            pairs = zip(whole, found, strict=True)
            found = [
                f"… {text[start : start + most - 2]}" if one == cut else one for text, one in pairs
            ]
    return found


def brief(text: str, most: int) -> str:
    """A long text cut in the middle: lists often differ at their end."""
    return (
        text
        if len(text) <= most
        else f"{text[: most // 2 - 1]} … {text[len(text) - most + most // 2 + 2 :]}"
    )
