"""What `--help` prints: of the command line around the groups and the spec, and of each verb."""

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
    "resume": ("SWEEP", "continue a sweep that was interrupted"),
    "rerun": ("RUN", "repeat a run from its logged spec and compare the results"),
    "sync": ("", "log to MLflow the run directories that it lacks"),
    "compare": ("[SWEEP]", "compare the jobs of a sweep; --table, --latex print a table"),
    "audit": ("[...]", "test every column of a spec for look-ahead, on all rows"),
    "check": ("[...]", "show how the data of a spec are read, without running it"),
    "snapshot": ("[...]", "download the data of a spec (data=yahoo), without running it"),
    "replicate": ("[PAPER]", "recompute the published numbers of a paper, and compare"),
    "list": ("[GROUP]", "list the groups, or the options of one"),
    "help": ("GROUP/OPTION", "explain an option and each of its settings"),
    "docs": ("[--to DIR]", "open the documentation of this version in the browser; --no-open"),
    "cache": ("[--empty]", "show the size of the cache that processes share, or empty it"),
    "ui": ("[RUN_ID]", "open the MLflow UI on the newest runs, a run, or --sweep SWEEP"),
}


def command(verb: str) -> str:
    """How a verb is called."""
    return f"python -m runner {verb} {VERBS[verb][0]}".rstrip()


def of_verb(verb: str, meaning: str | None) -> str:
    """What `VERB --help` prints: how it is called, and what it does."""
    return f"{command(verb)}\n\n{meaning}\n\npython -m runner --help lists groups and settings."


_LINES = [f"{command(verb):{WIDTH}}{text}" for verb, (_, text) in VERBS.items()]
HELP = f"""{"python -m runner [key=value ...]":{WIDTH}}run a spec; with -m, a sweep over key=a,b
{chr(10).join(_LINES)}

Groups, chosen by group=option:
{{groups}}

The default spec; key=value overrides any value of it:
{{spec}}

--version         print versions
--cfg job         show the spec that would run       --config-dir DIR   your configs beside ours
--hydra-help      every flag                         --config-path DIR  your configs instead of ours
--full            print every estimate and sentence
--json            print one JSON object              --quiet            print nothing but errors
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
