"""Tab completion in bash for `python -m runner`, which Hydra's own script does not know: it takes
-m for a file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import product

from runner.errors import SpecError, listed

INSTALL = r"""_factor_runner()
{
    local line="${COMP_LINE:0:COMP_POINT}"
    [[ $line =~ ^[^[:space:]]*python[0-9.]*[[:space:]]+-m[[:space:]]+runner[[:space:]] ]] || return
    local python="${line%%[[:space:]]*}"
    line="runner ${line:${#BASH_REMATCH[0]}}"
    local query="-m runner -sc query=bash"
    local choices="$(COMP_LINE="$line" COMP_POINT=${#line} "$python" $query 2>/dev/null)"
    COMPREPLY=($(compgen -W "$choices" -- "${line##*[[:space:]]}"))
}
COMP_WORDBREAKS=${COMP_WORDBREAKS//=}
complete -o nospace -o default -F _factor_runner python python3"""
UNINSTALL = "complete -r python python3; unset -f _factor_runner"
SCRIPTS = {"install=bash": INSTALL, "uninstall=bash": UNINSTALL}
ACTIONS = ("install", "uninstall", "query")
SHELLS = ("bash", "zsh", "fish")
LINE = "COMP_LINE"  # the variable in which a shell hands over what was typed


def completion(words: Sequence[str]) -> str:
    """The one request of a shell, such as install=bash.

    Raises:
        SpecError: another, several or none; a query that no shell makes.
    """
    allowed = [f"{action}={shell}" for action, shell in product(ACTIONS, SHELLS)]
    request = " ".join(words)
    if request not in allowed:
        raise SpecError(f"--shell-completion: given {request!r}; allowed: {listed(allowed)}")
    if request.startswith("query=") and LINE not in os.environ:
        raise SpecError(f"--shell-completion: {request} is for shells, which set {LINE}")
    return request
