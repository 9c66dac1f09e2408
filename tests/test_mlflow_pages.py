"""MLflow's own pages in a real browser, on the record of real runs: what one comes to see is there at once."""

import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.launching import as_it_was, compare, fit

from reparam_suite.tracking import Store, TrackingSettings
from reparam_suite.tracking.page_server import page_server
from reparam_suite.tracking.prepared_views import prepared_views

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
SCREENSHOTS = Path(__file__).parents[1] / "build" / "screenshots"
PATIENCE = 300
"""Seconds that a page may take, on a busy machine."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium and chromedriver here"),
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, str]:
    """Two short runs, by estimator, and where they are."""
    root = tmp_path_factory.mktemp("pages") / "mlruns"
    found = {"root": str(root)}
    for estimator in ("Pathwise", "StickTheLanding"):
        ended = fit("--model.estimator", estimator, "--trainer.max_steps", "60", root=root)
        assert ended.code == 0, ended.err
        found[estimator] = ended.run_ids[0]
    compared = compare("runs", root=root)
    assert compared.code == 0, compared.err
    return found


@pytest.fixture(scope="module")
def pages(runs) -> Iterator[dict[str, str]]:
    """Addresses on the server of the command `ui`: of the server, of the experiment, and of each prepared view."""
    tracking = TrackingSettings(root=Path(runs["root"]))
    with as_it_was():
        store = Store.open(tracking)
        views = prepared_views(tracking)
        with page_server(tracking.resolved_uri(), tracking.root / "artifacts") as served:
            of_views = {key: f"{served.address}/{view}" for key, view in views.items()}
            experiment = f"{served.address}/#/experiments/{store.experiment_id}"
            yield {"server": served.address, "experiment": experiment, **of_views}


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    opened = Browser()
    yield opened
    opened.close()


WITHIN_THE_WINDOW = """
return arguments[0].flatMap(text => [...document.querySelectorAll("*")]
  .filter(each => each.children.length === 0 && each.textContent.trim() === text)
  .map(each => each.getBoundingClientRect())
  .filter(box => box.width > 0 && box.x >= 0 && box.y >= 0 && box.right <= innerWidth && box.bottom <= innerHeight)
  .slice(0, 1)
  .map(box => [text, box.x, box.y]));
"""


class Browser:
    """Chromium, driven: opens a page and waits for a text."""

    def __init__(self) -> None:
        from selenium.webdriver import Chrome, ChromeOptions
        from selenium.webdriver.chrome.service import Service

        options = ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in ("headless=new", "no-sandbox", "disable-gpu", "window-size=1700,1100", "no-first-run"):
            options.add_argument(f"--{flag}")
        self._driver = Chrome(options=options, service=Service(DRIVER))

    def open(self, address: str, *wanted: str, name: str, width: int = 1700, height: int = 1100) -> str:
        """The text of a page once all that is wanted stands on it; a picture is kept under `name`."""
        self._driver.set_window_size(width, height)
        self._driver.get("about:blank")  # or a change of the part after # would load nothing
        self._driver.get(address)
        deadline, text = time.monotonic() + PATIENCE, ""
        while missing := [words for words in wanted if words not in text]:
            assert time.monotonic() < deadline, f"{missing} not on the page: {text}"
            time.sleep(0.5)
            text = self.text()
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self._driver.save_screenshot(str(SCREENSHOTS / f"{name}.png"))
        return text

    def text(self) -> str:
        """The readable text, with one blank for every gap."""
        body = self._driver.find_element("tag name", "body")
        # What is seen, drawings included, and then what scrolling would show.
        return " ".join(f"{body.text} {body.get_property('innerText')}".split())

    def seen(self, *texts: str) -> list[tuple[str, float, float]]:
        """The texts that are elements of the page within the window, with the places of their left upper corners."""
        return [(text, x, y) for text, x, y in self._driver.execute_script(WITHIN_THE_WINDOW, list(texts))]

    def wait_for(self, found: Callable[[str], object], script: str) -> object:
        """The value of a script once it is as wanted."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self._driver, PATIENCE).until(lambda driver: found(driver.execute_script(script)))

    def close(self) -> None:
        self._driver.quit()


def test_the_first_screen_shows_the_bound_and_the_gradients_variance(pages, browser):
    wanted = ("Training curves", "Pathwise (val/elbo)", "StickTheLanding (grad/encoder/variance)", "Pathwise-0-Digits")
    text = browser.open(pages["curves"], *wanted, name="curves", width=1280, height=900)
    titles = [title for title, _, _ in browser.seen("val/elbo", "grad/encoder/variance")]
    assert titles == ["val/elbo", "grad/encoder/variance"]
    assert "Assistant" not in text


def test_the_table_shows_estimator_seed_and_results_at_1280_pixels(pages, browser):
    text = browser.open(pages["table"], "test/elbo", "StickTheLanding-0-Digits", name="table", width=1280, height=900)
    columns = ("estimator", "seed", "val/elbo_best", "test/elbo")
    seen = browser.seen(*columns)
    assert [name for name, _, _ in seen] == list(columns)
    assert [x for _, x, _ in seen] == sorted(x for _, x, _ in seen)
    assert re.search(r"StickTheLanding Digits 0 10 0.001 -\d", text)
    assert "runs-reparam_suite" not in text, "comparisons have a view of their own"


def test_parallel_coordinates_lead_from_the_estimator_to_the_bound(pages, browser):
    # The page shortens StickTheLanding.
    wanted = ("Parallel Coordinates", "estimator", "learning_rate", "val/elbo_best", "Sti...ing", "Pathwise")
    browser.open(pages["options"], *wanted, name="options", width=1280, height=900)


def test_comparisons_have_a_view_of_their_own(pages, browser):
    text = browser.open(pages["others"], "runs-reparam_suite", name="others")
    assert "Pathwise-0-Digits" not in text


def test_the_experiment_links_to_its_views(pages, browser):
    browser.open(pages["experiment"], "Training curves · Table of runs · Options against results", name="experiment")


def test_runs_compare_by_estimator(pages, browser, runs):
    experiment = pages["experiment"].rsplit("/", 1)[-1]
    ids = ",".join(f'"{runs[estimator]}"' for estimator in ("Pathwise", "StickTheLanding"))
    page = f'{pages["server"]}/#/compare-runs?runs=[{ids}]&experiments=["{experiment}"]'
    # An axis of the parallel coordinates has ten letters for a name.
    browser.open(page, "Parallel Coordinates Plot", "estimator", "StickTheLa ", name="compare")


def test_a_run_shows_bound_and_variance(pages, browser, runs):
    wanted = ("val/elbo", "grad/encoder/variance", "grad/encoder/work_normalized_variance", "test/elbo")
    described = ("GaussianVAE trained with Pathwise", "The same run again")
    page = f"{pages['experiment']}/runs/{runs['Pathwise']}"
    browser.open(page, "Metrics", *wanted, *described, name="run", height=6_000)


def test_a_figure_opens(pages, browser, runs):
    page = f"{pages['experiment']}/runs/{runs['Pathwise']}/artifacts/figures/gradient_variance.png"
    browser.open(page, "gradient_variance.png", name="figure")
    widths = "return [...document.images].map(each => each.naturalWidth)"
    assert browser.wait_for(lambda found: max(found, default=0) > 500, widths)
