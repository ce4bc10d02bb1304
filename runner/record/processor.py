"""Which kind of processor made a result: the last digits of sums and of functions depend on it."""

from __future__ import annotations

from functools import cache

# With these in the environment every x86-64 processor that has AVX2 (all since some 2015) gives the
# same digits: the kernels of BLAS, and the functions of numpy, that all of these have.
COMMON = {
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}


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
