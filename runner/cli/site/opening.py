"""The verb `docs`: write the site, print where it is, and open it for a person."""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path

from runner.cli.composition import Composer
from runner.cli.site.building import default_folder, write


def show(folder: Path | None, wanted: bool, composer: Composer) -> int:
    """Write the site, print its first page, and open it where a person is at a terminal.

    Args:
        folder: of the pages; None takes that of the user's cache.
        wanted: whether a browser may be opened.
        composer: of the configs that the reference describes.
    """
    target = folder or default_folder()
    path = write(target, composer)
    first = path.resolve()
    print(first, flush=True)
    if wanted and sys.stdout.isatty():
        webbrowser.open(first.as_uri())
    return 0
