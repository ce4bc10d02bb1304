"""What standard errors allow for, and what to do where the residuals ask for more."""

from __future__ import annotations

from runner.estimators.standard_errors import ERRORS, called, suited, where


def allowed(errors: str) -> str:
    """What these errors of a pooled regression allow for; empty where it is unknown."""
    if errors not in ERRORS:
        return ""
    return f"{called(errors)} standard errors {ERRORS[errors].allows}"


def advice(what: str, errors: str) -> str:
    """What a finding in residuals means for the errors in force, and what to do.

    Args:
        what: was found, such as `serial correlation`.
        errors: name of the errors in force, empty where it is unknown.
    """
    if errors not in ERRORS:
        return "check that the standard errors allow for it"
    kind = ERRORS[errors]
    standard_errors = f"{called(errors)} standard errors"
    lagged = suited("asset", lambda other: other.serial)
    if what == "serial correlation":
        if kind.serial:
            return f"the {standard_errors} allow for it, up to their lags"
        return f"{standard_errors} ignore it; use model.cov={lagged}"
    if kind.unequal:
        return f"the {standard_errors} allow for it"
    unequal = where(lambda other: other.unequal and other.across == "HC3")
    return (
        f"{standard_errors} may be too small or too large; "
        f"use model.cov={unequal[0]}, or {lagged} if residuals are serially correlated"
    )
