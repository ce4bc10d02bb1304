"""Which kind of processor made a result: the last digits of sums and of functions depend on it."""

from __future__ import annotations

import platform
from collections.abc import MutableMapping
from functools import cache
from pathlib import Path

# With these in the environment every x86-64 processor that has AVX2 (all since some 2015) gives the
# same digits: the kernels of BLAS, and the functions of numpy, that all of these have. The last two
# names are those of numpy before 2.4.
BLAS = {"OPENBLAS_CORETYPE": "Haswell"}
NUMPY = {"NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR AVX512F AVX512_SKX"}
COMMON = {**BLAS, **NUMPY}
CPUINFO = Path("/proc/cpuinfo")
OF_ONE = 8192  # bytes that tell all of the first processor


def take_common_digits(environment: MutableMapping[str, str]) -> None:
    """Have numpy and its BLAS, before they are imported, give the common digits.

    What the environment says already stays. Elsewhere than on Linux, and on processors without
    AVX2, nothing is set.
    """
    if platform.machine() != "x86_64" or not CPUINFO.exists():
        return
    with CPUINFO.open() as file:
        told = file.read(OF_ONE).split()
    if "avx2" in told and "fma" in told:
        settings = COMMON if "avx512f" in told else BLAS
        for name, value in settings.items():
            environment.setdefault(name, value)


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
