"""The verb `ui`, seen in a browser: one link opens the runs table with its columns."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conftest import call_cli

from runner.cli.ui import serve
from runner.errors import DataError, RunnerError, SpecError
from runner.sinks import view
from runner.sinks.tracking import Store
from runner.sweeps.comparison.comparison import compared
from runner.sweeps.conduct import sweep_tags
from runner.sweeps.plan import Plan, read
from runner.sweeps.telling import tracked
from runner.sweeps.telling.tracked import SWEEPS_WITH_VIEWS, run_link, runs_link, sweep_link

ROOT = Path(__file__).parents[1]
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
PATIENCE = 120_000  # milliseconds that a page may take on a machine that does much else
ROWS = ".ag-pinned-left-cols-container .ag-row"
NAMED = """() => [...document.querySelectorAll('.ag-pinned-left-cols-container .ag-row')]
    .sort((one, other) => one.getAttribute('row-index') - other.getAttribute('row-index'))
    .map(row => row.querySelector('a').textContent)"""
HEADS = """() => [...document.querySelectorAll('.ag-header-cell[col-id]')]
    .filter(head => head.getBoundingClientRect().width > 0)
    .sort((one, other) => one.getBoundingClientRect().left - other.getBoundingClientRect().left)
    .map(head => head.textContent.trim())"""
DRAWN = """() => {
    const curves = [...document.querySelectorAll('img[src*=specification_curve]')];
    return curves.length > 0 && curves.every(curve => curve.naturalWidth > 0);
}"""
STRANGE = "l'été 100% <b>五十 & \u0394β — a name of some sixty letters, long"
FAST = [
    "experiment=none",
    "target=excess_return",
    "audit=off",
    "validation=holdout_2000",
    "data.start=1985-01-31",
]
SWEEPS = {
    "groups": ["features=ff3,ff3_momentum", "data.assets=[S1V5],[S5V5],[NONE]"],
    STRANGE: ["data.assets=[S1V5]", "model=ridge", "model.penalty=0.001,0.5,20"],
    "led": [
        "data.assets=[S1V5]", "model=ridge", "sweep.search=bayes", "sweep.draws=3", "sweep.score=oos/r2",
        "model.penalty=tag(log,interval(0.01,10))",
    ],
    "folds": ["data.assets=[S1V5]", "validation=holdout_2000,kfold", "features=ff3,ff3_momentum"],
}  # fmt: skip
GAP = "0.0015"  # of the R2 of the first two
GROUPS = [
    "1 ff3_momentum assets=[S1V5]", "2 ff3 assets=[S1V5]", "3 ff3_momentum assets=[S5V5]", "4 ff3 assets=[S5V5]",
]  # fmt: skip


def test_paths_name_the_runs_table_and_the_compared_runs() -> None:
    compared = view.compare_path("7", ["a", "b"])
    assert compared.startswith(
        "#/compare-runs?runs=%5B%22a%22%2C%22b%22%5D&experiments=%5B%227%22%5D"
    )
    facets = view.View("x", [], "tags.a = '%<'", (view.metric("rank"), True)).facets
    path = view.facets_path("7", facets)
    assert path.startswith(
        "#/experiments/7/runs?workflowType=machine_learning&compareRunsMode=TABLE&searchFilter="
    )
    assert (
        "searchFilter=tags.a%20%3D%20%27%25%3C%27&orderByKey=metrics.%60rank%60&orderByAsc=true"
        in path
    )


def test_this_mlflow_has_the_saved_views_we_know() -> None:
    from importlib.metadata import version

    assert view.known(version("mlflow")) and not view.known("3.18.0") and not view.known("4.17.1")


def test_a_taken_port_is_a_mistake_of_the_spec(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SpecError, match=f"^port {port}: .*; choose another with --port$"):
            serve(f"sqlite:///{tmp_path}/mlflow.db", port, "")


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        serve(f"sqlite:///{tmp_path}/mlflow.db", 0, "")
    assert not list(tmp_path.iterdir())


def test_a_server_that_dies_says_why_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("not a database, but long enough to be looked at")
    with pytest.raises(RunnerError, match=r"did not start: .*file is not a database$"):
        serve(f"sqlite:///{tmp_path}/mlflow.db", 0, "")


@dataclass
class Visit:
    """A browser page and what went wrong on it."""

    page: Any
    base: str
    errors: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        self.page.goto(
            "about:blank"
        )  # else an address that differs in its fragment alone is no new page
        self.page.goto(f"{self.base}/{path}")

    def shoot(self, name: str) -> None:
        shots = os.environ.get("RUNNER_SCREENSHOTS")
        if shots:
            self.page.screenshot(path=Path(shots) / f"{name}.png")

    def names(self, count: int) -> list[str]:
        """Names of the runs from the first row down, once there are so many."""
        from playwright.sync_api import expect

        expect(self.page.locator(ROWS)).to_have_count(count)
        return list(self.page.evaluate(NAMED))

    def heads(self) -> list[str]:
        """Headings of the columns in the window, from left to right, without those that MLflow pins."""
        return [
            text for text in self.page.evaluate(HEADS) if text not in ("", "Run Name", "Created")
        ]


@dataclass
class House:
    """A folder with sweeps and runs, and the server on its store."""

    folder: Path
    base: str
    link: str
    said: str
    client: Any
    experiment: str

    def tags(self, sweep: str) -> dict[str, str]:
        return sweep_tags(self.plan(sweep))

    def plan(self, sweep: str) -> Plan:
        return read(self.folder / "outputs" / "sweeps" / sweep)

    def view(self, sweep: str, kind: str = "leaderboard", mode: str = "TABLE") -> str:
        """The path that opens a saved view of a sweep."""
        return view.open_path(self.experiment, f"{self.plan(sweep).id}-{kind}", mode)  # type: ignore[arg-type]

    def runs(self, sweep: str, role: str = "job") -> dict[str, Any]:
        where = f"tags.`sweep.id` = '{self.plan(sweep).id}' and tags.role = '{role}'"
        return {run.info.run_name: run for run in self.client.search_runs([self.experiment], where)}


@contextmanager
def served(folder: Path, *words: str) -> Iterator[str]:
    """What a running `ui` printed; it must end with 0 and leave nothing where it was started."""
    command = [sys.executable, "-m", "runner", "ui", "--port", "0", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGTERM)
            rest = process.stdout.read()
    assert (process.returncode, rest) == (0, "")
    assert not {"mlruns", "mlartifacts", "mlflow.db"} & {path.name for path in folder.iterdir()}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Sweeps of every kind and a run that is no job, made by the command line, and one server on them."""
    if not CHROMIUM:
        pytest.skip("no chromium on the path")
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    folder = tmp_path_factory.mktemp("house")
    for name, words in SWEEPS.items():
        code = call_cli(
            folder, "-m", *FAST, *words, f'hydra.sweep.dir="outputs/sweeps/{name}"'
        ).code
        assert code == (1 if name == "groups" else 0), name
    assert call_cli(folder, "data.assets=[S1V5]", "data.start=1985-01-31").code == 0
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/outputs/mlflow.db")
    experiment = client.get_experiment_by_name("factor-runner").experiment_id
    with served(folder, "--sweep", "groups") as printed:
        said, _, link = printed.rpartition(": ")
        yield House(folder, link.partition("/open")[0], link + "", said, client, experiment)


@pytest.fixture(scope="module")
def browser(house: House) -> Iterator[Any]:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with (
        sync_playwright() as play,
        play.chromium.launch(executable_path=CHROMIUM, args=FLAGS) as one,
    ):
        yield one


@pytest.fixture
def visit(house: House, browser: Any) -> Iterator[Visit]:
    """A browser that has never been here; nothing may go wrong on its pages, and nothing leave this machine."""
    context = browser.new_context(viewport={"width": 1440, "height": 820})
    context.set_default_timeout(PATIENCE)
    one = Visit(context.new_page(), house.base)
    one.page.on("pageerror", lambda error: one.errors.append(str(error)))
    one.page.on("request", lambda asked: one.errors.extend(_abroad(asked.url, house.base)))
    yield one
    context.close()
    assert one.errors == []


def _abroad(url: str, base: str) -> list[str]:
    """The address if it is not on the server itself."""
    return [] if url.startswith((base, "data:", "blob:", "about:")) else [url]


@pytest.mark.browser
def test_the_one_link_shows_columns_and_order_at_first_after_reload_and_back(
    house: House, visit: Visit
) -> None:
    """And with the address copied into a fresh browser, the right order."""
    assert (
        "open on the jobs of sweep groups, best first" in house.said and "--keep-view" in house.said
    )
    heads = ["features", "data.assets", "R2 OOS", "RMSE OOS", "rows OOS", "R2 in sample"]
    names = _looked_at(house, visit, "groups", 6, heads)
    assert names[:4] == GROUPS and [name[:8] for name in names[4:]] == ["failed: "] * 2


def _looked_at(house: House, visit: Visit, sweep: str, count: int, heads: list[str]) -> list[str]:
    """Names from the first row down: the same at first, after a reload, after Back and in a fresh browser.

    Args:
        count: of runs.
        heads: of the first columns, the same at first, after a reload and after Back.
    """
    from playwright.sync_api import expect

    visit.page.goto(f"{house.base}/{house.view(sweep)}")
    names = visit.names(count)
    for look in ("first", "reload", "back"):
        assert visit.names(count) == names, look
        assert visit.heads()[: len(heads)] == heads, look
        assert visit.page.get_by_placeholder("Ask a question").count() == 0
        assert visit.page.get_by_text("viewing a shared view").count() == 0
        visit.shoot(f"{sweep[:6]}_{look}")
        if look == "first":
            visit.page.reload()
        elif look == "reload":
            visit.page.get_by_text(names[0]).first.click()
            expect(visit.page.get_by_text("Run ID")).to_be_visible()
            visit.page.go_back()
    address = visit.page.url
    fresh = visit.page.context.browser.new_context(viewport={"width": 1440, "height": 820})
    fresh.set_default_timeout(PATIENCE)
    other = Visit(fresh.new_page(), house.base)
    other.page.goto(address)
    assert other.names(count) == names
    fresh.close()
    return names


@pytest.mark.browser
def test_the_first_screen_says_which_is_best_on_what_evidence_and_what_differs(
    house: House, visit: Visit
) -> None:
    """Nothing of the answer is cut or scrolled out of sight."""
    visit.open(house.view("groups"))
    visit.names(6)
    best = house.runs("groups")[GROUPS[0]]
    first = visit.page.locator('.ag-center-cols-container .ag-row[row-index="0"]')
    shown = {"params.`features`": "ff3_momentum", "params.`data.assets`": "['S1V5']"}
    shown["tags.`R2 OOS`"] = f"{best.data.metrics['oos/r2']:.4f}"
    for column, text in shown.items():
        cell = first.locator(f'[col-id="{column}"]')
        assert cell.inner_text() == text
        box = cell.bounding_box()
        assert box["x"] + box["width"] <= 1440 and box["y"] + box["height"] <= 820
        assert cell.evaluate("one => one.scrollWidth <= one.clientWidth")


@pytest.mark.browser
def test_charts_begin_with_the_answer_and_no_card_is_made_for_every_metric(
    house: House, visit: Visit
) -> None:
    from playwright.sync_api import expect

    visit.open(house.view("groups", "charts", "CHART"))
    sections = ("Answer(3)", "Coefficients(4)", "Over years and folds(2)")
    for text in sections:
        expect(visit.page.locator("body")).to_contain_text(text)
    for heading in ("oos/r2", "fit/r2 vs. oos/r2", "Parallel Coordinates", "coef/MktRF"):
        expect(visit.page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    visit.shoot("charts")
    expect(visit.page.get_by_role("button", name="Add chart")).to_have_count(
        len(sections)
    )  # none made by itself


@pytest.mark.browser
def test_artifacts_show_one_column_a_run_and_groups_are_grouped(house: House, visit: Visit) -> None:
    from playwright.sync_api import expect

    visit.open(house.view("groups", "table", "ARTIFACT"))
    expect(visit.page.get_by_role("combobox", name="side_by_side.json")).to_be_visible()
    text = re.escape(house.runs("groups")[GROUPS[0]].data.tags["b MktRF"]).replace("\\ ", r"\s")
    expect(visit.page.locator("body")).to_contain_text(re.compile(rf"MktRF\s{text}"))
    visit.shoot("artifacts")
    visit.open(house.view("groups", "groups"))
    expect(visit.page.get_by_text("Group: ff3", exact=True).first).to_be_visible()
    expect(visit.page.get_by_text("Group: ff3_momentum", exact=True).first).to_be_visible()
    visit.shoot("by_group")


@pytest.mark.browser
def test_the_parent_answers_first_and_its_links_lead_where_they_say(
    house: House, visit: Visit
) -> None:
    from playwright.sync_api import expect

    [parent] = house.runs("groups", "sweep").values()
    visit.open(view.open_path(house.experiment, parent.info.run_id))
    best = visit.page.get_by_role("link", name=GROUPS[0]).first
    expect(best).to_be_visible()
    visit.shoot("parent")
    assert visit.page.get_by_placeholder("Ask a question").count() == 0
    evidence = f"out of sample on 207 rows, {GAP} ahead of the next"
    for words in (
        f"Best: {GROUPS[0]}",
        evidence,
        "The jobs differ in features and assets.",
        "survive Holm",
    ):
        line = visit.page.get_by_text(words).first.bounding_box()
        assert (
            line["y"] + line["height"]
            < visit.page.get_by_text("Show more").first.bounding_box()["y"]
        )
    with (
        visit.page.expect_popup() as best_first
    ):  # the rest of what is shown is below a shade that takes the clicks
        best.click()
    assert Visit(best_first.value, visit.base).names(6)[:4] == GROUPS
    links = visit.page.get_by_role("link", name="Leaderboard").bounding_box()
    assert (
        links["y"] + links["height"] < visit.page.get_by_text("Show more").first.bounding_box()["y"]
    )
    visit.page.get_by_text("Show more").first.click()
    visit.page.wait_for_function(DRAWN)
    visit.shoot("parent_whole")
    with visit.page.expect_popup() as leaderboard:  # links of a description open in a new tab
        visit.page.get_by_role("link", name="Leaderboard").click()
    assert Visit(leaderboard.value, visit.base).names(6)[:4] == GROUPS
    with visit.page.expect_popup() as report:
        visit.page.get_by_role("link", name="Report", exact=True).click()
    frame = report.value.frame_locator("iframe").first
    expect(frame.get_by_role("heading", name="sweep groups")).to_be_visible()
    visit.open("sweep/groups")
    expect(visit.page.get_by_role("heading", name="sweep groups")).to_be_visible()


@pytest.mark.browser
def test_a_strange_name_is_shown_as_it_is_and_does_nothing(house: House, visit: Visit) -> None:
    from playwright.sync_api import expect

    heads = ["model.penalty", "R2 OOS", "RMSE OOS", "rows OOS", "R2 in sample"]
    names = _looked_at(house, visit, STRANGE, 3, heads)
    assert names == ["1 penalty=0.5", "2 penalty=0.001", "3 penalty=20"]
    visit.open(house.view(STRANGE))
    expect(visit.page.get_by_text("Newest sweep:")).to_be_visible()
    visit.page.get_by_role("button", name="Views").click()
    expect(visit.page.get_by_text(f"{STRANGE}: leaderboard").first).to_be_visible()
    visit.shoot("strange_name")
    [parent] = house.runs(STRANGE, "sweep").values()
    visit.open(view.run_path(house.experiment, parent.info.run_id))
    expect(visit.page.get_by_role("heading", name=STRANGE)).to_be_visible()


@pytest.mark.browser
@pytest.mark.parametrize("sweep", ["led", "folds"])
def test_sweeps_of_other_kinds_are_ranked_too(house: House, visit: Visit, sweep: str) -> None:
    runs = house.runs(sweep)
    scores = {
        name: run.data.metrics["oos/r2" if sweep == "led" else "common/r2"]
        for name, run in runs.items()
    }
    heads = (
        ["model.penalty", "R2 OOS"] if sweep == "led" else ["validation", "features", "R2 common"]
    )
    names = _looked_at(house, visit, sweep, len(runs), heads)
    assert [int(name.split()[0]) for name in names] == [1 + at for at in range(len(runs))]
    blocks = [[name for name in names if (" cv " in name) == later] for later in (False, True)]
    assert [*blocks[0], *blocks[1]] == names
    for block in blocks:
        assert block == sorted(block, key=lambda name: -scores[name])
    assert len(blocks[1]) == (2 if sweep == "folds" else 0)


@pytest.mark.browser
@pytest.mark.parametrize("sweep", [STRANGE, "led", "folds"], ids=["values", "led", "folds"])
def test_charts_artifacts_and_parents_of_other_kinds_answer_too(
    house: House, visit: Visit, sweep: str
) -> None:
    from playwright.sync_api import expect

    best = next(run for name, run in house.runs(sweep).items() if name.startswith("1 "))
    visit.open(house.view(sweep, "charts", "CHART"))
    for text in ("Answer(3)", "Coefficients(", "Over years and folds("):
        expect(visit.page.locator("body")).to_contain_text(text)
    expect(
        visit.page.get_by_role("heading", name="Parallel Coordinates", exact=True)
    ).to_be_visible()
    visit.shoot(f"{sweep[:6]}_charts")
    visit.open(house.view(sweep, "table", "ARTIFACT"))
    text = re.escape(best.data.tags["b MktRF"]).replace("\\ ", r"\s")
    expect(visit.page.locator("body")).to_contain_text(re.compile(rf"MktRF\s{text}"))
    [parent] = house.runs(sweep, "sweep").values()
    visit.open(view.open_path(house.experiment, parent.info.run_id))
    expect(
        visit.page.get_by_role("link", name=best.info.run_name, exact=True).first
    ).to_be_visible()
    visit.shoot(f"{sweep[:6]}_parent")


@pytest.mark.browser
def test_a_resumed_sweep_is_ranked_and_named_anew(house: House, visit: Visit) -> None:
    plan = house.plan(STRANGE)
    before = house.runs(STRANGE)
    shutil.rmtree(plan.place(plan.jobs[0]))
    lost = next(run for run in before.values() if run.data.tags["job.number"] == "0")
    house.client.set_tag(lost.info.run_id, "mlflow.runName", "x")
    assert call_cli(house.folder, "resume", STRANGE).code == 0
    assert house.runs(STRANGE).keys() == before.keys()
    assert _looked_at(house, visit, STRANGE, 3, ["model.penalty", "R2 OOS"]) == sorted(before)


@pytest.mark.browser
def test_another_mlflow_gets_the_filter_and_the_order(
    house: House, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view, "WORKS_WITH", "9.9")
    monkeypatch.chdir(house.folder)
    path = sweep_link(
        Store(), house.tags("groups"), compared(house.plan("groups")), plugged_in=True
    )
    assert "viewStateShareKey" not in path and not path.startswith("open/")
    visit.open(path)
    assert visit.names(6)[:4] == GROUPS
    assert call_cli(house.folder, "resume", "led").code == 0
    [parent] = house.runs("led", "sweep").values()
    note = parent.data.tags["mlflow.note.content"]
    assert "viewStateShareKey" not in note and "[Leaderboard](#/" in note and "[Report](#/" in note
    visit.open(view.run_path(house.experiment, parent.info.run_id))
    with visit.page.expect_popup() as leaderboard:
        visit.page.get_by_role("link", name=re.compile("^1 ")).first.click()
    assert [name[:2] for name in Visit(leaderboard.value, visit.base).names(3)] == [
        "1 ",
        "2 ",
        "3 ",
    ]


@pytest.mark.browser
def test_a_preview_leaves_the_own_view_alone(
    house: House, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(house.folder)
    store, found = Store(), compared(house.plan("groups"))
    path = sweep_link(store, house.tags("groups"), found, plugged_in=True, keep=True)
    visit.open(path)
    assert visit.names(6)[:4] == GROUPS
    own = f'MLflowLocalStorage-1.1-ExperimentPage-["{house.experiment}"]-ReactComponentState'
    assert "metrics.`rank`" not in str(
        visit.page.evaluate("name => localStorage.getItem(name)", own)
    )


@pytest.mark.browser
def test_the_newest_runs_a_run_and_two_compared(
    house: House, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    from playwright.sync_api import expect

    monkeypatch.chdir(house.folder)
    visit.open(runs_link(Store(), plugged_in=True))
    expect(visit.page.locator(ROWS).first).to_be_visible()
    assert visit.heads()[:6] == ["data", "features", "target", "model", "validation", "experiment"]
    visit.shoot("newest")
    visit.page.get_by_role("button", name="Group by").click()
    visit.page.get_by_role(
        "menuitemcheckbox", name="model", exact=True
    ).last.click()  # the first is a tag
    for model in ("ols", "ridge"):
        expect(visit.page.get_by_text(f"Group: {model}", exact=True).first).to_be_visible()
    visit.shoot("by_model")
    runs = house.runs("groups")
    best = [runs[name].info.run_id for name in GROUPS[:2]]
    visit.open(run_link(Store(), best[0], plugged_in=True))
    expect(visit.page.get_by_role("heading", name=GROUPS[0])).to_be_visible()
    assert visit.page.get_by_placeholder("Ask a question").count() == 0
    visit.open(view.compare_path(house.experiment, best))
    expect(visit.page.get_by_role("heading", name="Comparing 2 Runs")).to_be_visible()
    for name in GROUPS[:2]:
        expect(visit.page.get_by_text(name, exact=True).first).to_be_visible()
    visit.shoot("compare")


@pytest.mark.browser
@pytest.mark.parametrize(
    ("sweeps", "kept"), [(4, 2), pytest.param(12, SWEEPS_WITH_VIEWS, marks=pytest.mark.slow)]
)
def test_after_many_sweeps_a_person_can_save_a_view_and_an_old_sweep_opens_in_order(
    house: House, visit: Visit, monkeypatch: pytest.MonkeyPatch, sweeps: int, kept: int
) -> None:
    """MLflow saves no view of a person from forty on; ours are of the newest sweeps only."""
    from playwright.sync_api import expect

    monkeypatch.setattr(tracked, "SWEEPS_WITH_VIEWS", kept)
    crowded = f"crowd{sweeps}"

    def swept(number: int) -> None:
        words = [
            *FAST,
            "features=ff3,ff3_momentum",
            "data.assets=[S1V5]",
            f"tracking.experiment={crowded}",
        ]
        assert (
            call_cli(
                house.folder, "-m", *words, f"hydra.sweep.dir=outputs/sweeps/{crowded}_{number}"
            ).code
            == 0
        )

    def saved() -> set[str]:
        tags = house.client.get_experiment(crowd).tags
        return {name.removeprefix(view.TAG) for name in tags if name.startswith(view.TAG)}

    for number in range(sweeps):
        swept(number)
    crowd = house.client.get_experiment_by_name(crowded).experiment_id
    plans = [house.plan(f"{crowded}_{number}") for number in range(sweeps)]
    assert {view.sweep_of(key) for key in saved()} == {plan.id for plan in plans[-kept:]}
    visit.open(view.open_path(crowd, f"{plans[-1].id}-leaderboard"))
    names = visit.names(2)
    visit.page.get_by_role("button", name="Views").click()
    visit.page.get_by_text("Save as new view").click()
    visit.page.get_by_role("textbox", name="name").fill("my own")
    expect(visit.page.get_by_test_id("save-view-at-cap-message")).to_have_count(0)
    visit.shoot("save_a_view")
    visit.page.get_by_role("button", name="Save", exact=True).click()
    expect(visit.page.get_by_text("my own").first).to_be_visible()
    [own] = {key for key in saved() if not view.sweep_of(key)}
    for older in plans[:2]:
        visit.open(view.open_path(crowd, f"{older.id}-leaderboard"))
        assert visit.names(2) == names
    [parent] = house.client.search_runs(
        [crowd], f"tags.`sweep.id` = '{plans[0].id}' and tags.role = 'sweep'"
    )
    visit.open(view.run_path(crowd, parent.info.run_id))
    best = visit.page.get_by_role("link", name=names[0]).first  # the runs below it come later
    expect(best).to_be_visible()
    visit.shoot("older_parent")
    with visit.page.expect_popup() as leaderboard:
        best.click()
    other = Visit(leaderboard.value, visit.base)
    for again in range(2):
        assert other.names(2) == names, again
        other.page.reload()
    swept(sweeps)
    assert own in saved() and len(saved()) == 1 + 4 * kept


@pytest.mark.browser
def test_a_single_run_stands_among_the_newest_with_what_was_chosen(
    house: House, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is no job, in the table and on its page; the same after a reload and Back."""
    from playwright.sync_api import expect

    monkeypatch.chdir(house.folder)
    where = "tags.directory LIKE '%/outputs/runs/%'"
    [single] = house.client.search_runs([house.experiment], where)
    chosen = {
        "data": "french",
        "features": "ff3",
        "model": "ols",
        "validation": "holdout_2000",
        "experiment": "ff3",
    }
    assert {name: single.data.params[name] for name in chosen} == chosen
    visit.open(runs_link(Store(), plugged_in=True))
    expect(
        visit.page.get_by_role("link", name=single.info.run_name, exact=True).first
    ).to_be_visible()
    visit.open(run_link(Store(), single.info.run_id, plugged_in=True))
    for look in ("first", "reload", "back"):
        expect(visit.page.get_by_role("heading", name=single.info.run_name)).to_be_visible()
        expect(visit.page.get_by_text("Out-of-sample R2 is").first).to_be_visible()
        assert visit.page.get_by_placeholder("Ask a question").count() == 0
        visit.shoot(f"single_{look}")
        if look == "first":
            visit.page.reload()
        elif look == "reload":
            visit.page.get_by_role("link", name="Runs").first.click()
            visit.page.locator(ROWS).first.wait_for()
            visit.page.go_back()


@pytest.mark.slow
@pytest.mark.browser
def test_two_hundred_jobs_are_in_order(house: House, visit: Visit) -> None:
    penalties = ",".join(f"{0.001 * 1.07**at:.6f}" for at in range(200))
    words = [*FAST, "data.assets=[S1V5]", "model=ridge", f"model.penalty={penalties}"]
    assert call_cli(house.folder, "-m", *words, "hydra.sweep.dir=outputs/sweeps/many").code == 0
    visit.open(house.view("many"))
    for look in ("first", "reload"):
        visit.page.locator(ROWS).first.wait_for()
        names = list(visit.page.evaluate(NAMED))
        assert [int(name.split()[0]) for name in names] == [1 + at for at in range(len(names))], (
            look
        )
        assert visit.heads()[:2] == ["model.penalty", "R2 OOS"], look
        visit.shoot(f"two_hundred_{look}")
        visit.page.reload()
