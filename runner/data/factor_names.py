"""Factors by the names of Kenneth R. French's library, however a file spells them."""

from __future__ import annotations

import re
from collections.abc import Iterable

# letters and digits in lower case -> the name here; mktrf and umd are those of WRDS
FACTORS = {
    "mktrf": "MktRF",
    "smb": "SMB",
    "hml": "HML",
    "rmw": "RMW",
    "cma": "CMA",
    "mom": "Mom",
    "umd": "Mom",
    "rf": "RF",
}

RISK_FREE = "RF"


def is_of_each_row(name: str) -> bool:
    """Whether a factor of this name is of each row alone: a return, or the risk-free rate of it."""
    return name in FACTORS.values()


def is_return(name: str) -> bool:
    """Whether a factor of this name is a return of each row, as all but the risk-free rate are."""
    return name in FACTORS.values() and name != RISK_FREE


def canonical(name: str) -> str:
    """The name of the factor that is meant, such as MktRF for Mkt-RF; the name itself of others."""
    letters = re.sub(r"[^a-z0-9]", "", name.casefold())
    return FACTORS.get(letters, name)


def same_factor(name: str, among: Iterable[str]) -> str | None:
    """The one of these names that means the same factor; None where none or several do.

    A name in mixed case that is not the library's, such as MktRf, is a slip of the pen.
    """
    meant = canonical(name)
    letters = re.sub(r"[^A-Za-z0-9]", "", name)
    if not (letters in FACTORS.values() or letters.islower() or letters.isupper()):
        return None
    alike = [other for other in among if canonical(other) == meant]
    if len(alike) == 1:
        return alike[0]
    return None
