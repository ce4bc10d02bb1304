"""The edge: the command line, and what comes back from it.

    python -m runner [overrides]      runs one spec; -m sweeps
    python -m runner VERB [...]       one of VERBS below; --help lists them with what they do

Exit codes: 0 done; 1 an estimation failed, or a job of a sweep; 2 the spec or the data is wrong;
130 interrupted; 141 whoever read the output left. --full prints all of a run, --json one JSON
object, --quiet nothing but errors. A wait of ten seconds is told on stderr, and again each twenty;
with --quiet none is.
"""

from __future__ import annotations

import gc
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from inspect import getdoc
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from runner.cli.usage import forms_of, parser_of, waits_told
from runner.compute.allocator import OF_LIBRARIES, keep_memory
from runner.errors import RunnerError, SpecError, unknown
from runner.record.processor import take_common_digits

if TYPE_CHECKING:
    from argparse import Namespace

    from runner.cli.composition import Composer


NONE: Mapping[str, Any] = MappingProxyType({})
SWITCH = {"action": "store_true"}  # a flag without a value
# Imports make objects that stay; looking through them takes a fifth of a short run.
GC_THRESHOLD = 200_000

# Before numpy is imported: our own threads share the cores, and the last bits must depend neither
# on how many there are nor on their kind.
for _pool in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_pool}_NUM_THREADS", "1")
take_common_digits(os.environ)
for _name, _value in OF_LIBRARIES.items():  # before pyarrow is imported, too
    os.environ.setdefault(_name, _value)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; mistakes go to stderr, one line each."""
    gc.set_threshold(GC_THRESHOLD)
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["--version"]:
        from runner.cli.usage import versions

        print(versions())
        return 0
    try:
        with waits_told(words):
            code = _run(words)
        sys.stdout.flush()  # here, where a reader who left is no traceback
        return code
    except RunnerError as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        from runner.record.secrets import said

        for line in error.mistakes:
            _say(said(f"error: {line}"))
        return error.exit_code
    except MemoryError as error:
        _say(f"error: out of memory: {error or 'no room for more'}")
        return 1
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing more can be said
        return 141
    except OSError as error:  # of a disk that is full, or may not be written
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        where = "" if error.filename is None else f"{str(error.filename)!r}: "
        _say(f"error: {where}{error.strerror or error}")
        return 1


def start() -> None:
    """A start from a shell, which tells its results and no warnings of libraries."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
        os.environ["PYTHONWARNINGS"] = "ignore"  # of the processes that it starts
    keep_memory()
    code = main()
    gc.freeze()  # else the interpreter looks through every object once more before it ends
    sys.exit(code)


def _run(words: list[str]) -> int:
    """Run the verb that the words begin with, or specs where they begin with none."""
    if not words or not words[0].isidentifier():
        return run_specs(words)
    verb, *rest = words
    if verb not in VERBS:
        raise SpecError(f"{unknown(verb, VERBS)} (a command; an override is written key=value)")
    if {"-h", "--help"} & set(rest):
        from runner.cli.usage import of_verb

        print(of_verb(verb, getdoc(VERBS[verb])))
        return 0
    return VERBS[verb](rest)


def run_specs(words: Sequence[str]) -> int:
    """Run one spec, or with -m every combination of a sweep."""
    composer, args = _composer(words, forms=True)
    if args.help or args.hydra_help or args.cfg or args.info or args.shell_completion:
        composer.show(args)
        _say_changes(composer)
        return 0
    if args.multirun:
        plan = composer.plan(args.overrides)
        _say_changes(composer)
        from runner.sweeps.conduct import conduct

        return conduct(plan, partial(composer.planned, plan), args.form)
    job = composer.job(args.overrides)
    _say_changes(composer)
    from runner.sinks.job import execute

    execute(job.experiment, job.directory, args.form)
    return 0


def _say_changes(composer: Composer) -> None:
    """Which keys the overrides added to open mappings, and what was left out of an experiment."""
    added = dict.fromkeys(composer.added)
    if added:
        _say(f"added to the spec: {', '.join(added)}")
    for sentence in dict.fromkeys([*composer.examples.left_out, composer.earlier]):
        _say(sentence)


def _say(sentence: str) -> None:
    """A sentence beside the results, which are on the other stream."""
    if sentence:
        from runner.text import shown

        print(shown(sentence), file=sys.stderr)


def _composer(
    words: Sequence[str], forms: bool = False, own: Mapping[str, Mapping[str, Any]] = NONE
) -> tuple[Composer, Namespace]:
    """The composer that the flags ask for, and the flags with the overrides.

    Args:
        forms: whether flags choose the form of what is printed.
        own: further flags, each with its settings of argparse.
    """
    from runner.cli.composition import Composer
    from runner.cli.usage import flags

    parser = flags()
    if forms:
        forms_of(parser)
    for flag, settings in own.items():
        parser.add_argument(flag, **settings)
    args = parser.parse_intermixed_args(list(words))
    return Composer(args.config_path, args.config_dir, args.config_name), args


def resume(words: Sequence[str]) -> int:
    """Go on with a sweep that was ended, by its name or its directory; without one, the only one.

    KEY=VALUE         where the store is, such as tracking.uri=..., or who runs the rest, such as
                      executor.address=...
    --trust           though others wrote its plan: run the code and write the files that it names
    """
    from runner.cli.composition import Composer
    from runner.cli.of_verbs import going_on, to_resume
    from runner.sweeps.plan import refuse_of_others

    parser = parser_of("resume")
    parser.add_argument("--trust", action="store_true")
    forms_of(parser)
    args, words = parser.parse_known_args(list(words))
    plan, rest = to_resume(words)
    refuse_of_others(plan.directory, args.trust)
    composer = Composer(*plan.configs)
    plan = going_on(plan, composer, rest)
    from runner.sweeps.conduct import conduct

    return conduct(plan, partial(composer.planned, plan), args.form)


def rerun(words: Sequence[str]) -> int:
    """Repeat a run from its logged spec, by its id or directory, and compare the results.

    Overrides may name the store (tracking.uri) and the code that it may run (allow).
    """
    composer, args = _composer(words, forms=True)
    if not args.overrides or "=" in args.overrides[0]:
        raise SpecError(
            "rerun: which run? allowed: its id or directory, then overrides (tracking.uri=...)"
        )
    run, *overrides = args.overrides
    from runner.cli.overrides import put
    from runner.cli.rerun import rerun as again

    config, directory = composer.places(list(map(put, overrides)))
    from runner.sinks.stores.store import Store

    return again(run, Store(**config["tracking"]), config, directory, overrides, args.form)


def sync(words: Sequence[str]) -> int:
    """Log to MLflow the run directories below outputs/runs that it lacks.

    For a sweep use `resume`.
    """
    composer, args = _composer(words)
    config, directory = composer.places(args.overrides)
    from runner.sinks.stores.store import Store
    from runner.sinks.tracking import log_each, unlogged
    from runner.sweeps.plan import killed
    from runner.sweeps.telling.tracked import end_killed

    store = Store(**config["tracking"])
    end_killed(store, killed)
    every = [path.parent for path in sorted(directory.parent.glob("[!.]*/run.json"))]
    fresh = unlogged(store, every)
    logged = 0
    try:
        for logged, (path, run_id) in enumerate(log_each(fresh, store), 1):  # noqa: B007
            print(f"{path}: MLflow run {run_id}")
    finally:
        print(f"{logged} logged, {len(every) - len(fresh)} known before", file=sys.stderr)
    return 0


def compare(words: Sequence[str]) -> int:
    """Compare the finished jobs of a sweep, and write the comparison to its directory `report`.

    SWEEP             its name or directory; without one, the latest; or directories of several runs
                      for --table or --latex, which then write nothing
    --score METRIC    rank the jobs by it, such as oos/rmse; else by sweep.score
    --term TERM       coefficient of the specification curve, and of the table by asset
    --heat KEY1,KEY2  keys of the heat map; else those that differ, if two do
    --csv             print the leaderboard as CSV
    --table           print the regression table as Markdown, with settings such as table.brackets=t
    --latex           print it as LaTeX
    --full            print more jobs, coefficients and notes on the tests
    --json, --quiet   print one JSON object, or nothing but errors
    """
    from runner.sweeps.plan import find

    parser = parser_of("compare")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--score")
    parser.add_argument("--term")
    parser.add_argument("--heat")
    form = forms_of(parser)
    form.add_argument("--csv", action="store_const", const="csv", dest="form")
    form.add_argument("--table", action="store_const", const="markdown", dest="form")
    form.add_argument("--latex", action="store_const", const="latex", dest="form")
    args = parser.parse_intermixed_args(list(words))
    from runner.cli.of_verbs import heat_of, table_of

    names, table = table_of(args.words)
    from runner.record.untrusted import as_written

    if len(names) > 1:
        from runner.session.comparison import print_table

        with as_written("compare"):
            print_table(names, table, args.form)
        return 0
    plan = find(names[0] if names else None)
    heat = heat_of(args.heat)
    from runner.sweeps.telling.compare import judge_and_compare as report

    with as_written(f"sweep {plan.name}"):
        report(plan, score=args.score, term=args.term, heat=heat, table=table, form=args.form)
    return 0


def snapshot(words: Sequence[str]) -> int:
    """Fetch the data of the spec (data=yahoo unless another source is named) without running it."""
    composer, args = _composer(words)
    named = any(word.startswith("data=") for word in args.overrides)
    overrides = [*args.overrides] if named else [*args.overrides, "data=yahoo"]
    source = composer.job(overrides).experiment.source
    from runner.data.sources.source import Fetched

    if not isinstance(source, Fetched):
        raise SpecError(f"data: {type(source).__name__} is not fetched; allowed here: data=yahoo")
    from runner.data.sources.snapshot import describe, manifest_of, read_manifest

    path = source.fetch()
    print(path)
    print(*describe(read_manifest(manifest_of(path))), sep="\n", file=sys.stderr)
    return 0


def audit(words: Sequence[str]) -> int:
    """Test every column of the spec for look-ahead, on all rows and assets, without running it."""
    composer, args = _composer(words, forms=True)
    experiment = composer.job(args.overrides).experiment
    from runner.sinks import job

    job.audit(experiment, args.form)
    return 0


def check(words: Sequence[str]) -> int:
    """Show how the data of the spec are read, without running it.

    How each column was read, dates and gaps, coverage by asset, joined tables, magnitudes, the
    largest returns, groups, and what was left out and why. The tables and a page with pictures are
    written to outputs/check. Only `data` of the spec has to be valid; with other data than those
    of the default experiment, no experiment is used unless one is named.
    """
    composer, args = _composer(words, forms=True)
    from runner.cli.of_verbs import data_of

    data, directory = data_of(composer, args.overrides)
    _say_changes(composer)
    from runner.sinks.accounts import job

    job.check(data, directory, args.form)
    return 0


def cache(words: Sequence[str]) -> int:
    """Show the files in sweep.cache and their size, with tables on disk; --empty removes them."""
    composer, args = _composer(words, own={"--empty": SWITCH})
    settings = composer.sweep(args.overrides)
    from runner.sweeps.cache import GIGABYTE, Cache
    from runner.text import count

    kept = Cache(Path(settings.cache), settings.cache_gb * GIGABYTE)
    entries = kept.entries()
    markets = kept.markets()
    if args.empty:
        kept.empty()
    content = f"{count(len(entries), 'file')}, {sum(size for _, size in entries):,} bytes"
    if markets:
        on_disk = count(len(markets), "market")
        content += f"; {on_disk} on disk, {sum(size for _, size in markets):,} bytes"
    print(f"{settings.cache}: {'emptied of ' if args.empty else ''}{content}")
    return 0


def ui(words: Sequence[str]) -> int:
    """Serve the MLflow UI on the newest runs of the store, a run, or the jobs of --sweep.

    --port PORT   of the server; 0 takes a free one
    --keep-view   leave your own last view of the experiment alone
    """
    port = {"type": int, "default": 5000}
    composer, args = _composer(words, own={"--port": port, "--sweep": {}, "--keep-view": SWITCH})
    run_ids = [word for word in args.overrides if "=" not in word]
    overrides = [word for word in args.overrides if "=" in word]
    tracking = composer.places(overrides)[0]["tracking"]
    from runner.cli.ui import serve_runs, serve_sweep

    if args.sweep is not None:
        return serve_sweep(args.sweep, args.port, args.keep_view)
    return serve_runs(tracking, run_ids, args.port, args.keep_view)


def docs(words: Sequence[str]) -> int:
    """Write the documentation of this version as pages of HTML, and open them in the browser.

    --to DIR    the folder; else one for each version in the cache of the user
    --no-open   print the address of the first page, and open nothing

    The reference has your own options too with --config-dir.
    """
    from runner.cli.site.opening import show

    composer, args = _composer(words, own={"--to": {"type": Path}, "--no-open": SWITCH})
    if args.overrides:
        raise SpecError(f"docs: given {' '.join(args.overrides)}; allowed: --to DIR, --no-open")
    return show(args.to, not args.no_open, composer)


def replicate(words: Sequence[str]) -> int:
    """Recompute the published numbers of a paper, and compare; without a name, list the papers.

    Where the data cannot be shipped, name your own copy: data.path=FILE. A certificate with the
    numbers, data, spec and versions is written to outputs/replications. The exit code is 1 where a
    number lies outside the tolerance.
    """
    parser = parser_of("replicate")
    forms_of(parser)
    args, words = parser.parse_known_args(list(words))
    from runner.replications import replicate as replications

    if not words:
        print(replications.listing())
        return 0
    name, *overrides = words
    return replications.replicate(name, overrides, args.form)


def listing(words: Sequence[str]) -> int:
    """List the groups with their options, or the options of one group with a line on each."""
    composer, args = _composer(words)
    from runner.cli import catalogue

    names = args.overrides
    if len(names) > 1:
        raise SpecError(f"list: given {' '.join(names)}; allowed: nothing, or one group")
    print(catalogue.options(composer, names[0]) if names else catalogue.groups(composer))
    return 0


def explain(words: Sequence[str]) -> int:
    """Print what an option is, and each of its settings; --full prints all of one with many."""
    composer, args = _composer(words, own={"--full": {"action": "store_true"}})
    from runner.cli import catalogue

    if len(args.overrides) != 1:
        raise SpecError("help: of what? allowed: GROUP or GROUP/OPTION, such as model/ridge")
    print(catalogue.option(composer, args.overrides[0], args.full))
    return 0


VERBS: dict[str, Callable[[Sequence[str]], int]] = {
    "audit": audit,
    "cache": cache,
    "check": check,
    "compare": compare,
    "docs": docs,
    "help": explain,
    "list": listing,
    "replicate": replicate,
    "rerun": rerun,
    "resume": resume,
    "snapshot": snapshot,
    "sync": sync,
    "ui": ui,
}


if __name__ == "__main__":
    start()
