"""What errors of estimates allow for, and what to do where the residuals ask for more."""

from __future__ import annotations

SERIAL = ("HAC", "driscoll_kraay")  # errors that allow for serial correlation
ALLOWED = {  # of a regression over several assets
    "nonrobust": "take variances as equal and rows as independent, which assets of one date seldom are",
    **dict.fromkeys([f"HC{i}" for i in range(4)], "allow for unequal variances, and take rows as independent"),
    "cluster": "allow for unequal variances and for what rows of a cluster share",
    "driscoll_kraay": "allow for unequal variances, shared shocks, and serial correlation up to their lags",
}


def allowed(errors: str) -> str:
    """What these errors of a regression over several assets allow for, nothing where it is unknown."""
    return f"{errors} errors {ALLOWED[errors]}" if errors in ALLOWED else ""


def advice(what: str, errors: str) -> str:
    """What a finding in residuals means for the errors in force (empty where unknown), and what to do."""
    if not errors:
        return "see whether the errors allow for it"
    if what == "serial correlation":
        inside = f"the {errors} errors in force allow for it up to their lags"
        return inside if errors in SERIAL else f"{errors} errors ignore it; use model.cov=HAC"
    if errors == "nonrobust":
        return "nonrobust errors may be too small or too large; use model.cov=HC3, HAC if serially correlated"
    return f"the {errors} errors in force allow for it"
