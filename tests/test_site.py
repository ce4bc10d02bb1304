"""The site of the documentation: every page is reached, every link and anchor is there, nothing is fetched."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from conftest import call_cli
from test_ui_browser import CHROMIUM, FLAGS

import runner
from runner import preprocessing
from runner.__main__ import VERBS
from runner.cli.catalogue import OTHERS, options_of
from runner.cli.composition import Composer
from runner.cli.site import opening, search
from runner.cli.site.content import Page, anchor_of, first_sentence
from runner.cli.site.markdown import page_of
from runner.estimators.standard_errors import ERRORS
from runner.experiment.settings import GROUPS, NAMES
from runner.features.operators import FUNCTIONS
from runner.sinks.markup import Html

SHIPPED = files("runner").joinpath("docs")
FETCHING = {"src", "srcset", "data", "poster", "background"}  # attributes that load something


@dataclass
class Seen(HTMLParser):
    """Addresses that a page links to, the anchors it has, and what it would fetch."""

    links: list[str] = field(default_factory=list)
    anchors: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        if tag == "a":
            self.links.append(given["href"])
        elif tag == "form" and given.get("action") == "search.html":
            pass  # the box of the search, on every page
        elif "href" in given or tag in {"script", "iframe", "object", "form"}:
            self.fetched.append(tag)
        self.fetched += [given[key] for key in FETCHING & set(given)]
        if "id" in given:
            self.anchors.append(given["id"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, made once."""
    folder = tmp_path_factory.mktemp("site")
    done = call_cli(folder, "docs", "--to", "pages", "--no-open")
    assert done.code == 0, done.err
    assert done.out.strip() == str(folder / "pages/index.html")
    return folder / "pages"


@pytest.fixture(scope="module")
def seen(site: Path) -> dict[str, Seen]:
    """What stands in every page, by its name."""
    pages = {}
    for path in sorted(site.iterdir()):
        page = Seen()
        page.feed(path.read_text(encoding="utf-8"))
        pages[path.name] = page
    return pages


def test_every_page_of_the_package_is_in_the_site(seen: dict[str, Seen]) -> None:
    shipped = {path.name.removesuffix(".md") for path in SHIPPED.iterdir()}
    pages = [link for link in seen["index.html"].links if not link.startswith("#")]
    linked = {link.removesuffix(".html") for link in pages}
    assert shipped <= linked
    assert {f"{name}.html" for name in linked} == set(seen)


def test_no_link_and_no_anchor_is_dead(seen: dict[str, Seen]) -> None:
    dead = []
    for name, page in seen.items():
        assert len(set(page.anchors)) == len(page.anchors), name
        for link in page.links:
            target, _, anchor = link.partition("#")
            if target.startswith("https://"):
                continue
            reached = seen.get(target or name)
            if reached is None or (anchor and anchor not in reached.anchors):
                dead.append(f"{name}: {link}")
    assert dead == []


def test_the_pages_fetch_nothing(seen: dict[str, Seen], site: Path) -> None:
    for name, page in seen.items():
        assert page.fetched == (["script"] * 2 if name == "search.html" else []), name
        text = (site / name).read_text(encoding="utf-8")
        assert "default-src 'none'" in text
        assert "url(" not in text and "@import" not in text


def test_the_page_of_the_search_runs_its_own_script_alone(site: Path) -> None:
    text = (site / "search.html").read_text(encoding="utf-8")
    scripts = re.findall(r"<script>(.*?)</script>", text, re.S)
    assert scripts == [search.SCRIPT]
    digest = b64encode(sha256(search.SCRIPT.encode()).digest()).decode()
    assert f"default-src 'none'; script-src 'sha256-{digest}';" in text
    assert len(text) < 1_000_000
    for path in site.glob("*.html"):
        if path.name != "search.html":
            assert "script-src" not in path.read_text(encoding="utf-8"), path.name


def test_the_search_holds_every_section_with_an_address_that_is_there(
    site: Path, seen: dict[str, Seen]
) -> None:
    text = (site / "search.html").read_text(encoding="utf-8")
    data = re.search(r'id="sections">(.*?)</script>', text, re.S)
    assert data is not None
    sections = json.loads(data[1])
    assert len(sections) > 200
    for title, address, _ in sections:
        target, _, anchor = address.partition("#")
        assert title and target in seen
        assert not anchor or anchor in seen[target].anchors, address


def test_a_text_of_the_search_ends_no_element() -> None:
    page = Page("x", "X", "", Html("<h1>X</h1><p>&lt;/script&gt;&lt;b&gt;</p>"), [])
    assert "</script><b>" not in search.page_of([page]).body
    assert r"\u003c/script>" in search.page_of([page]).body


@pytest.mark.browser
def test_a_search_from_any_page_finds_sections(site: Path) -> None:
    if not CHROMIUM:
        pytest.skip("no chromium on the path")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with (
        api.sync_playwright() as play,
        play.chromium.launch(executable_path=CHROMIUM, args=FLAGS) as browser,
    ):
        page = browser.new_page()
        wrong: list[str] = []
        page.on("console", lambda said: wrong.append(said.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto((site / "tutorial.html").as_uri())
        page.fill("nav input", "Newey <b>")
        page.keyboard.press("Enter")
        page.wait_for_url("**/search.html?q=*")
        assert page.inner_text("#said") == "0 sections"
        page.fill("main input", "newey-west hac")
        assert page.locator("#results a").count() > 2
        page.locator("#results a").first.click()
        assert page.url.startswith(site.as_uri()) and "search.html" not in page.url
        assert wrong == []


def test_the_reference_names_all_that_a_spec_may_choose(site: Path) -> None:
    composer = Composer()
    for group in (*GROUPS, *OTHERS):
        text = (site / f"group-{group}.html").read_text(encoding="utf-8")
        for name in options_of(composer, group):
            assert f'<h2 id="{anchor_of(f"{group}={name}")}">{group}={name}</h2>' in text
    named = {
        "functions": runner.features.__all__,
        "operators": [f"{name}(" for name in FUNCTIONS],
        "steps": preprocessing.STEPS,
        "standard-errors": ERRORS,
        "analyses": set(runner.analyses.__all__) - {"Study", "Finding"},
        "spec": NAMES,
        "commands": VERBS,
    }
    for page, names in named.items():
        text = (site / f"{page}.html").read_text(encoding="utf-8")
        assert [name for name in names if name not in text] == [], page


def test_every_setting_of_the_reference_has_a_meaning_and_a_default(site: Path) -> None:
    for path in site.glob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert "&lt;factory&gt;" not in text, path.name
        if path.name.startswith("group-"):
            assert "<dd><p></p>" not in text, path.name


def test_options_of_ones_own_are_in_the_reference(tmp_path: Path, cli: Any) -> None:
    (tmp_path / "mine/features").mkdir(parents=True)
    (tmp_path / "mine/features/own.yaml").write_text("# Of my own.\nx: rank(close)\n")
    assert cli("docs", "--to", "site", "--config-dir", "mine").code == 0
    text = (tmp_path / "site/group-features.html").read_text(encoding="utf-8")
    assert "Of my own." in text and "x: rank(close)" in text


def test_html_of_a_page_is_text_and_its_marks_are_not_shown() -> None:
    text = "# A `title`\n\n<!-- commands: offline -->\nSay <b>this</b>. More.\n\n## On & off\n\n[x](y.md#z)\n"
    page = page_of("name", text)
    assert (page.title, page.summary) == ("A title", "Say <b>this</b>.")
    assert page.headings == [("On & off", "on--off")]
    assert "commands: offline" not in page.body
    assert "&lt;b&gt;" in page.body
    assert 'href="y.html#z"' in page.body


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("One of `a.csv`\nand b. Two.", "One of `a.csv` and b."),
        ("As below: this", "As below."),
        ("Newey-West (1987). More", "Newey-West (1987)."),
        ("0.05 of all", "0.05 of all."),
    ],
)
def test_the_first_sentence(text: str, sentence: str) -> None:
    assert first_sentence(text) == sentence


def test_an_anchor_is_that_of_github() -> None:
    assert anchor_of(" `p_dates`, and more ") == "p_dates-and-more"


def test_without_a_folder_it_is_one_of_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first = Path(call_cli(tmp_path, "docs", "--no-open").out.strip())
    assert first.is_file()
    assert first.parent.parent == tmp_path / "cache/factor-runner"


def test_a_user_without_a_home_is_one_line(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", home)
    done = cli("docs", "--no-open")
    assert (done.code, done.err) == (2, "error: docs: this user has no home; allowed: --to DIR\n")


def test_it_is_opened_for_a_person_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    composer = Composer()
    monkeypatch.setattr(opening.webbrowser, "open", opened.append)
    opening.show(tmp_path, True, composer)
    assert opened == []
    monkeypatch.setattr(opening.sys.stdout, "isatty", lambda: True, raising=False)
    opening.show(tmp_path, False, composer)
    assert opened == []
    opening.show(tmp_path, True, composer)
    assert opened == [(tmp_path / "index.html").as_uri()]


def test_a_folder_that_cannot_be_is_one_line(tmp_path: Path, cli: Any) -> None:
    (tmp_path / "taken").write_text("")
    done = cli("docs", "--to", "taken")
    assert done.code == 2
    assert done.err.startswith("error: docs: taken: ")
    assert len(done.err.splitlines()) == 1


LOOK = """() => {
  for (const fold of document.querySelectorAll("details")) fold.open = true;
  const over = document.documentElement.scrollWidth - innerWidth;
  const cut = [...document.querySelectorAll("main *, nav *")].filter((element) =>
    !element.closest(".scroll") && element.getBoundingClientRect().right > innerWidth + 1);
  return {over, cut: cut.map((element) => element.textContent.slice(0, 40))};
}"""


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium")
@pytest.mark.parametrize("width", [1200, 400])
def test_no_page_is_wider_than_the_window(width: int, site: Path) -> None:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with (
        api.sync_playwright() as play,
        play.chromium.launch(executable_path=CHROMIUM, args=FLAGS) as browser,
    ):
        tab = browser.new_page(viewport={"width": width, "height": 900})
        for path in sorted(site.iterdir()):
            tab.goto(path.as_uri())
            assert tab.evaluate(LOOK) == {"over": 0, "cut": []}, path.name


def test_the_index_reaches_every_setting_metric_verb_and_error(site: Path) -> None:
    text = (site / "names.html").read_text(encoding="utf-8")
    for name in ("oos/r2", "cov_lags", "DataError", "HAC", "purge", "zscore(x, n)"):
        assert f"<dt>{name}</dt>" in text, name
    for verb in VERBS:
        assert f"python -m runner {verb}" in text
