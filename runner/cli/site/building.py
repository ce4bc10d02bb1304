"""The site of the installed version: its pages written into a folder."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import runner
from runner import __version__
from runner.cli.composition import Composer
from runner.cli.site import index, reference, search
from runner.cli.site.content import Page
from runner.cli.site.layout import HOME, framed
from runner.cli.site.markdown import page_of
from runner.errors import DataError
from runner.sinks.markup import joined, pairs_of, tag

# heading of the navigation -> files of runner/docs, without their suffix
PAGES = {
    "Start": (
        "tutorial",
        "tasks",
        "hydra",
        "experiments",
        "sweeps",
        "python",
        "regression",
        "outputs",
    ),
    "Your own": ("data", "files", "signals"),
    "How to": (
        "funds",
        "quantiles",
        "volatility",
        "executors",
        "slurm",
        "mlflow",
        "tables",
        "replications",
    ),
    "To know": ("metrics", "inference", "audit", "validation", "verdict"),
    "Promises": ("performance", "reliability", "licences", "changelog"),
}


def default_folder() -> Path:
    """The folder of the user for what may be made again, one for each version.

    Raises:
        DataError: a user without a home.
    """
    given = os.environ.get("XDG_CACHE_HOME")
    try:
        cache = Path(given) if given else Path.home() / ".cache"
    except RuntimeError:
        raise DataError("docs: this user has no home; allowed: --to DIR") from None
    folder = cache / "factor-runner"
    return folder / f"docs-{__version__}"


def write(folder: Path, composer: Composer) -> Path:
    """Write every page; give the first one.

    Args:
        composer: of the configs whose options the reference describes.

    Raises:
        DataError: the folder cannot be written.
    """
    sections = {heading: list(map(_shipped, names)) for heading, names in PAGES.items()}
    sections["Reference"] = reference.pages(composer)
    pages = [page for section in sections.values() for page in section]
    of_names = index.page_of(pages)
    of_search = search.page_of(pages)
    sections["Reference"] += [of_names, of_search]
    pages.append(of_names)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        home = _home(sections)
        for page in (home, *pages):
            text = framed(page, sections, __version__)
            name = f"{page.name}.html"
            path = folder / name
            path.write_text(text, encoding="utf-8")
        text = search.allowed(framed(of_search, sections, __version__))
        (folder / f"{search.NAME}.html").write_text(text, encoding="utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"docs: {folder}: {reason}; another folder: --to DIR") from None
    return folder / f"{HOME}.html"


def _shipped(name: str) -> Page:
    """A page of Markdown that the package ships."""
    text = files("runner").joinpath("docs", f"{name}.md").read_text(encoding="utf-8")
    return page_of(name, text)


def _home(sections: Mapping[str, Sequence[Page]]) -> Page:
    """The first page: what the program is, and every page with its first sentence."""
    title = f"factor-runner {__version__}"
    docstring = str(runner.__doc__)
    about = docstring.strip(".")
    parts = [tag("h1", title), tag("p", f"{about}.")]
    for heading, pages in sections.items():
        rows = []
        for page in pages:
            link = tag("a", page.title, href=f"{page.name}.html")
            rows.append((link, [page.summary]))
        parts += [tag("h2", heading), pairs_of(rows, "pages")]
    return Page(HOME, title, about, joined(*parts), [])
