"""MLflow's own pages in a real browser, on the record of real runs: what one comes to see is there at once."""

import re
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from tests.launching import as_it_was, fit
from tests.tracking.servers import Server

from reparam_suite.tracking import Store, TrackingSettings

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
    return found


@pytest.fixture(scope="module")
def address(runs) -> Iterator[str]:
    """The store's pages, served by the command that a run prints."""
    with as_it_was():
        store = Store.open(TrackingSettings(root=Path(runs["root"])))
    port = _free_port()
    server = Server(f"{store.ui_command} --port {port}", port, directory=Path(sys.prefix).parent)
    server.start()
    experiment = MlflowClient(server.uri).get_experiment_by_name("reparam_suite").experiment_id
    yield f"{server.uri}/#/experiments/{experiment}"
    server.kill()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    opened = Browser()
    yield opened
    opened.close()


class Browser:
    """Chromium, driven: opens a page and waits for a text."""

    def __init__(self) -> None:
        from selenium.webdriver import Chrome, ChromeOptions
        from selenium.webdriver.chrome.service import Service

        options = ChromeOptions()
        options.binary_location = CHROMIUM
        for each in ("headless=new", "no-sandbox", "disable-gpu", "window-size=1700,1100", "no-first-run"):
            options.add_argument(f"--{each}")
        self._driver = Chrome(options=options, service=Service(DRIVER))

    def open(self, address: str, *wanted: str, name: str, height: int = 1100) -> str:
        """The text of a page once all that is wanted stands on it; a picture is kept under `name`."""
        self._driver.set_window_size(1700, height)
        self._driver.get("about:blank")  # or a change of the part after # would load nothing
        self._driver.get(address)
        deadline, text = time.monotonic() + PATIENCE, ""
        while missing := [each for each in wanted if each not in text]:
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

    def wait_for(self, found: Callable[[str], object], script: str) -> object:
        """The value of a script once it is as wanted."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self._driver, PATIENCE).until(lambda driver: found(driver.execute_script(script)))

    def close(self) -> None:
        self._driver.quit()


def test_the_table_of_runs_shows_estimator_and_data(address, browser):
    text = browser.open(f"{address}/runs", "Digits", "Pathwise", "StickTheLanding", name="runs")
    assert sorted(set(re.findall(r"\S+-GaussianVAE-Digits-0", text))) == [
        "Pathwise-GaussianVAE-Digits-0",
        "StickTheLanding-GaussianVAE-Digits-0",
    ]


def test_charts_are_grouped_by_what_they_show(address, browser):
    text = browser.open(f"{address}/runs?compareRunsMode=CHART", "grad/encoder (", "val (", name="charts")
    sections = re.findall(r"(\S+) \(\d+\)", text)
    for section in ("grad/encoder", "grad/decoder", "train", "val", "time"):
        assert section in sections


def test_runs_compare_by_estimator(address, browser, runs):
    server = address.split("/#/")[0]
    experiment = address.rsplit("/", 1)[-1]
    ids = ",".join(f'"{runs[each]}"' for each in ("Pathwise", "StickTheLanding"))
    page = f'{server}/#/compare-runs?runs=[{ids}]&experiments=["{experiment}"]'
    # An axis of the parallel coordinates has ten letters for a name.
    browser.open(page, "Parallel Coordinates Plot", "estimator", "StickTheLa ", name="compare")


def test_a_run_shows_bound_and_variance(address, browser, runs):
    wanted = ("val/elbo", "grad/encoder/variance", "grad/encoder/work_normalized_variance", "test/elbo")
    browser.open(f"{address}/runs/{runs['Pathwise']}", "Metrics", *wanted, name="run", height=6_000)


def test_a_figure_opens(address, browser, runs):
    page = f"{address}/runs/{runs['Pathwise']}/artifacts/figures/gradient_variance.png"
    browser.open(page, "gradient_variance.png", name="figure")
    widths = "return [...document.images].map(each => each.naturalWidth)"
    assert browser.wait_for(lambda found: max(found, default=0) > 500, widths)
