"""What errors of estimates allow for, and what to do where the residuals ask for more."""

from __future__ import annotations

from runner.estimators.standard_errors import ERRORS


def allowed(errors: str) -> str:
    """What these errors of a regression over several assets allow for, nothing where it is
    unknown.
    """
    return f"{errors} errors {ERRORS[errors].allows}" if errors in ERRORS else ""


def advice(what: str, errors: str) -> str:
    """What a finding in residuals means for the errors in force (empty where unknown), and what to
    do.
    """
    if errors not in ERRORS:
        return "see whether the errors allow for it"
    if what == "serial correlation":
        inside = f"the {errors} errors in force allow for it up to their lags"
        return inside if ERRORS[errors].serial else f"{errors} errors ignore it; use model.cov=HAC"
    if not ERRORS[errors].unequal:
        return f"{errors} errors may be too small or too large; use model.cov=HC3, HAC if serially correlated"
    return f"the {errors} errors in force allow for it"
