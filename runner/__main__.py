"""The edge: the command line, and what comes back from it.

    python -m runner [overrides]      runs one spec; -m sweeps
    python -m runner resume SWEEP     goes on with a sweep that was ended
    python -m runner audit [...]      tries every column of a spec for look-ahead, thoroughly
    python -m runner snapshot [...]   fetches the data of a spec without running it
    python -m runner cache [--empty]  tells how much processes of sweeps share on disk, or empties it
    python -m runner ui [...]         opens the MLflow UI on the runs

Exit codes: 0 done; 1 an estimation failed, or a job of a sweep; 2 the spec or the data is wrong.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from runner.errors import RunnerError, SpecError, unknown

# Before numpy is imported: our own threads share the cores, and the last bits must not depend on how many there are.
for _pool in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_pool}_NUM_THREADS", "1")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; what is wrong goes to stderr, one line per mistake."""
    gc.set_threshold(200_000)  # imports make objects that stay; looking through them takes a fifth of a short run
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        verb = words[0] if words and words[0].isidentifier() else ""
        if verb and verb not in VERBS:
            raise SpecError(f"{unknown(verb, VERBS)} (a verb; an override is written key=value)")
        return VERBS[verb](words[1:]) if verb else run_specs(words)
    except RunnerError as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        print(*(f"error: {line}" for line in error.mistakes), sep="\n", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130


def run_specs(words: Sequence[str]) -> int:
    """Run one spec, or with -m every combination of a sweep."""
    from runner.composition import Composer, flags

    args = flags().parse_args(list(words))
    composer = Composer(args.config_path, args.config_dir, args.config_name)
    if args.help or args.hydra_help or args.cfg or args.info or args.shell_completion:
        composer.show(args)
        return 0
    if args.multirun:
        plan = composer.plan(args.overrides)
        from runner.sweeps.conduct import conduct

        return conduct(plan)
    job = composer.job(args.overrides)
    from runner.job import execute

    execute(job.experiment, job.directory)
    return 0


def resume(words: Sequence[str]) -> int:
    """Go on with a sweep that was ended: its name, or its directory."""
    from runner.sweeps.plan import read

    if len(words) != 1:
        raise SpecError("resume: which sweep? allowed: its name or its directory")
    [name] = words
    directory = Path(name) if "/" in name else Path("outputs/sweeps") / name
    plan = read(directory)
    from runner.sweeps.conduct import conduct

    return conduct(plan)


def snapshot(words: Sequence[str]) -> int:
    """Fetch the data of the spec (data=yahoo unless another source is named) without running it."""
    from runner.composition import Composer, flags

    args = flags().parse_args(list(words))
    named = any(word.startswith("data=") for word in args.overrides)
    overrides = [*args.overrides] if named else [*args.overrides, "data=yahoo"]
    source = Composer(args.config_path, args.config_dir, args.config_name).job(overrides).experiment.source
    if not hasattr(source, "fetch"):
        raise SpecError(f"data: {type(source).__name__} is not fetched; allowed here: data=yahoo")
    from runner.sources.snapshot import describe, manifest_of, read_manifest

    path = source.fetch()
    print(path)
    print(*describe(read_manifest(manifest_of(path))), sep="\n", file=sys.stderr)
    return 0


def audit(words: Sequence[str]) -> int:
    """Try every column of the spec for look-ahead, on all rows and assets, without running it."""
    from runner.composition import Composer, flags

    args = flags().parse_args(list(words))
    experiment = Composer(args.config_path, args.config_dir, args.config_name).job(args.overrides).experiment
    from runner import job

    job.audit(experiment)
    return 0


def cache(words: Sequence[str]) -> int:
    """Tell the files and bytes of the cache of the spec, sweep.cache; --empty removes them."""
    from runner.composition import Composer, flags

    parser = flags()
    parser.add_argument("--empty", action="store_true")
    args = parser.parse_args(list(words))
    settings = Composer(args.config_path, args.config_dir, args.config_name).sweep(args.overrides)
    from runner.sweeps.cache import GIGABYTE, Cache
    from runner.words import count

    kept = Cache(Path(settings.cache), settings.cache_gb * GIGABYTE)
    entries = kept.entries()
    if args.empty:
        kept.empty()
    told = f"{count(len(entries), 'file')}, {sum(size for _, size in entries):,} bytes"
    print(f"{settings.cache}: {'emptied of ' if args.empty else ''}{told}")
    return 0


def ui(words: Sequence[str]) -> int:
    """Serve the MLflow UI on the store of the spec; --port N, overrides such as tracking.uri=..."""
    from runner.composition import Composer, flags

    parser = flags()
    parser.add_argument("--port", type=int, default=5000)
    args = parser.parse_args(list(words))
    tracking = Composer(args.config_path, args.config_dir, args.config_name).tracking(args.overrides)
    from runner.sinks.tracking import Store, runs_link
    from runner.ui import serve

    store = Store(**tracking)
    return serve(store.uri, args.port, runs_link(store))


VERBS: dict[str, Callable[[Sequence[str]], int]] = {
    "audit": audit,
    "cache": cache,
    "resume": resume,
    "snapshot": snapshot,
    "ui": ui,
}


if __name__ == "__main__":
    sys.exit(main())
