"""Choices as texts, cut so that they can still be told apart."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import zip_longest
from typing import Any

from runner.text import number


def value_text(value: Any) -> str:
    """A choice as text."""
    if isinstance(value, float):
        return number(float(value))
    return str(value)


def score_text(metric: str, value: float) -> str:
    """A score as a paper prints it; rows are counted."""
    if metric.endswith("n_obs"):
        return f"{value:,.0f}"
    return number(value)


def value_texts(values: Iterable[Any], most: int) -> list[str]:
    """Choices as texts of at most `most` letters, still different where the choices are.

    Texts that would read alike once cut in the middle are cut about where they first differ.
    """
    whole = [value_text(value) for value in values]
    cut = [brief(text, most) for text in whole]
    for short in set(cut):
        rows = [row for row, text in enumerate(cut) if text == short]
        alike = {whole[row] for row in rows}
        if len(alike) > 1:
            start = max(_first_difference(alike) - most // 3, 0)
            after = start + most
            end = after - 2
            for row in rows:
                cut[row] = f"… {whole[row][start:end]}"
    return cut


def _first_difference(texts: Collection[str]) -> int:
    """The position of the first letter in which some of the texts differ."""
    for position, letters in enumerate(zip_longest(*texts)):
        if len(set(letters)) > 1:
            return position
    return 0


def brief(text: str, most: int) -> str:
    """A long text cut in the middle: lists often differ at their end."""
    if len(text) <= most:
        return text
    left = most // 2 - 1
    right = len(text) - most + most // 2 + 2
    beginning = text[:left]
    ending = text[right:]
    return f"{beginning} … {ending}"
