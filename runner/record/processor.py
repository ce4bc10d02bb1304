"""Which kind of processor made a result: the last digits of sums and of functions depend on it."""

from __future__ import annotations

from functools import cache


@cache
def processor() -> str:
    """The kind of processor that numpy and its BLAS take this one for.

    Such as "numpy X86_V4, openblas Haswell". A BLAS adds up in another order, and numpy has other
    logarithms and exponentials, on another kind: results then differ by rounding.
    """
    import numpy as np
    from threadpoolctl import threadpool_info

    functions = np.lib.introspect.opt_func_info(func_name="^log$", signature="float64")
    of_log = functions.get("log", {})
    kinds = [f"numpy {chosen['current']}" for chosen in of_log.values()]
    for library in threadpool_info():
        if library["user_api"] == "blas":
            kind = library.get("architecture", "")
            kinds.append(f"{library['internal_api']} {kind}".strip())
    return ", ".join(dict.fromkeys(kinds))
