"""What `--help` says: of the command line around the groups and the spec, and of each verb."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NoReturn

from runner.errors import SpecError
from runner.progress import silent, telling

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

WIDTH = 35  # of the column of commands
BELOW = (
    "hydra-core",
    "numpy",
    "scipy",
    "pandas",
    "statsmodels",
    "scikit-learn",
    "mlflow",
)  # what numbers stand on
# verb -> what follows it, and what it does
VERBS = {
    "resume": ("SWEEP", "go on with a sweep that was ended"),
    "rerun": ("RUN_ID", "repeat a run from its logged spec and tell what differs"),
    "sync": ("", "log run directories that the store does not have"),
    "compare": ("[SWEEP]", "compare the jobs of a sweep; --table prints a regression table"),
    "audit": ("[...]", "try every column of a spec for look-ahead, thoroughly"),
    "check": ("[...]", "read the data of a spec without running it: tables, and a page"),
    "snapshot": ("[...]", "fetch the data of a spec (data=yahoo) without running it"),
    "replicate": ("[PAPER]", "compute the printed numbers of a paper and certify them"),
    "list": ("[GROUP]", "list the groups, or the options of one with what they are"),
    "help": ("GROUP/OPTION", "show an option with the meaning of every setting"),
    "docs": ("[--to DIR]", "open the documentation of this version in the browser; --no-open"),
    "cache": ("[--empty]", "tell how much the processes of sweeps share on disk, or empty it"),
    "ui": ("[RUN_ID]", "open the MLflow UI on the newest runs, a run, or --sweep SWEEP"),
}


def command(verb: str) -> str:
    """How a verb is called."""
    return f"python -m runner {verb} {VERBS[verb][0]}".rstrip()


def of_verb(verb: str, meaning: str | None) -> str:
    """What `VERB --help` prints: how it is called, and what it does."""
    return f"{command(verb)}\n\n{meaning}\n\npython -m runner --help lists groups and settings."


_LINES = [f"{command(verb):{WIDTH}}{text}" for verb, (_, text) in VERBS.items()]
HELP = f"""{"python -m runner [key=value ...]":{WIDTH}}run one spec; -m sweeps over key=a,b
{chr(10).join(_LINES)}

Groups, chosen by group=option:
{{groups}}

The spec, every value of which can be overridden by key=value:
{{spec}}

--version         print versions
--cfg job         show the spec that would run       --config-dir DIR   your configs beside ours
--hydra-help      every flag                         --config-path DIR  your configs instead of ours
--full            print all of a run, not in short
--json            print one JSON object              --quiet            print nothing but errors
                                                     (nor that a wait is long)
Tab completion in bash: eval "$(python -m runner -sc install=bash)"
"""


def flags() -> argparse.ArgumentParser:
    """The flags of a run; everything else on the command line is an override."""
    from hydra._internal.utils import get_args_parser

    parser = get_args_parser()
    parser.error = refuse  # type: ignore[method-assign]
    return parser


def refuse(message: str) -> NoReturn:
    """What is wrong with flags, in one line as every mistake.

    Raises:
        SpecError: always.
    """
    raise SpecError(f"{message} (--hydra-help shows every flag)")


def parser_of(verb: str) -> argparse.ArgumentParser:
    """A parser of the flags of a verb, which refuses others in one line."""
    import argparse

    def refuse(message: str) -> NoReturn:
        raise SpecError(f"{message} (python -m runner {verb} --help shows its flags)")

    parser = argparse.ArgumentParser(add_help=False)
    parser.error = refuse  # type: ignore[method-assign]
    return parser


def forms_of(parser: argparse.ArgumentParser) -> Any:
    """Add the flags for the form of what is printed; the group, for further forms."""
    parser.set_defaults(form="tables")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--full", action="store_const", const="full", dest="form")
    group.add_argument(
        "--json", action="store_const", const="json", dest="form", help="print one JSON object"
    )
    group.add_argument(
        "--quiet",
        action="store_const",
        const="quiet",
        dest="form",
        help="print nothing but errors, nor that a wait is long",
    )
    return group


def waits_told(words: Sequence[str]) -> AbstractContextManager[None]:
    """Who waits for what the words ask for hears of it, unless they ask for silence."""
    is_quiet = any("--quiet".startswith(word) for word in words if word.startswith("--q"))
    if is_quiet:
        return silent()
    verb = words[0] if words and words[0] in VERBS else "run"
    return telling(lambda seconds: f"{verb}: under way for {seconds:.0f} s")


def versions() -> str:
    """The version of the product, and of what its numbers stand on."""
    from importlib.metadata import version

    from runner import __version__

    below = [f"{name} {version(name)}" for name in BELOW]
    return f"factor-runner {__version__} (Python {sys.version.split()[0]}, {', '.join(below)})"
