"""The page in a real browser: no errors, no network, sorts, filters, prints."""

from __future__ import annotations

import os
import re
import shutil

import pytest

from analysis.reporting.html.page import html_page, write_html
from tests.analysis.reports import as_large_network, shipped_report

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
MOST = 3_000_000  # bytes


@pytest.fixture(scope="module")
def report():
    return shipped_report()


@pytest.fixture(scope="module")
def file(report, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_html(report, path)
    return path


@pytest.fixture(scope="module")
def browser():
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("continuous integration needs chromium: .ci/run installs it")
        pytest.skip("chromium is not installed")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as play:
        running = play.chromium.launch(executable_path=found, args=FLAGS, headless=True)
        yield running
        running.close()


@pytest.fixture
def page(browser, file):
    """The page, opened; whatever goes wrong on it is kept and fails the test at its end."""
    yield from opened(browser, file, width=1280, scheme="light")


def opened(browser, file, *, width, scheme):
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, accept_downloads=True
    )
    page, wrong = context.new_page(), []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: request.url == file.as_uri() or wrong.append(request.url))
    page.goto(file.as_uri())
    yield page
    context.close()
    assert [entry for entry in wrong if not entry.startswith(("blob:", "data:"))] == []


def column(page, table, place):
    return page.eval_on_selector_all(
        f"#t-{table} tbody tr:not([hidden]) td:nth-child({place})",
        "cells => cells.map(cell => cell.dataset.v ?? cell.textContent)",
    )


def test_a_page_is_one_small_file_that_asks_for_nothing(file):
    text = file.read_text()
    assert len(text) < MOST
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", text)
    assert "default-src 'none'" in text


def test_every_figure_has_its_words_and_its_data(file):
    text = file.read_text()
    figures = re.findall(r"<figure.*?</figure>", text, re.DOTALL)
    assert len(figures) >= 6
    for figure in figures:
        assert re.search(r'<svg[^>]*role="img"><title>[^<]{20,}</title>', figure)
        assert re.search(r"<figcaption>[^<]{20,}</figcaption>", figure)
    for table in ("parts", "sites", "neurons", "rate-histogram", "histogram", "curve"):
        assert f'id="t-{table}"' in text


def test_a_page_of_hundreds_of_layers_stays_small(report):
    large = as_large_network(report, 20)
    assert len(large.run.sites) == 340
    assert len(html_page(large)) < MOST


@pytest.mark.slow
class TestInABrowser:
    def test_it_shows_without_errors_and_without_network(self, page):
        assert page.title() == "Energy report: small <net> & friends"
        assert page.locator("section").count() >= 9
        assert page.locator("svg[role=img]").count() >= 6

    def test_a_click_sorts_and_another_one_turns_it_round(self, page):
        before = column(page, "sites", 8)
        heading = page.locator("#t-sites th[data-name=energy_pj]")
        heading.locator("button").click()
        assert column(page, "sites", 8) == sorted(before, key=float, reverse=True)
        assert heading.get_attribute("aria-sort") == "descending"
        heading.locator("button").click()
        assert column(page, "sites", 8) == sorted(before, key=float)
        page.locator("#t-sites th[data-name=layer] button").press("Enter")
        assert column(page, "sites", 1)[0].startswith("encoder.gate")
        assert heading.get_attribute("aria-sort") is None

    def test_words_that_stand_for_no_number_sort_last(self, page):
        page.locator("#conventions details summary").click()
        page.locator("#t-parts th[data-name=eq17] button").click()
        assert column(page, "parts", 5)[-1] == ""  # the gate is left out there
        page.locator("#t-parts th[data-name=eq17] button").click()
        assert column(page, "parts", 5)[-1] == ""

    def test_a_filter_keeps_the_rows_with_all_words(self, page):
        page.locator("#t-sites input").fill("stages conv1")
        names = column(page, "sites", 1)
        assert names == [f"stages.{stage}.0.conv1" for stage in range(3)]
        page.locator("#t-sites input").fill("")
        assert len(column(page, "sites", 1)) == 17

    def test_a_table_is_saved_as_csv_with_full_numbers(self, page, report, tmp_path):
        with page.expect_download() as download:
            page.locator("#t-sites button.csv").click()
        path = tmp_path / "sites.csv"
        download.value.save_as(path)
        lines = path.read_text().splitlines()
        assert lines[0].startswith("layer,role,reads,in_rate")
        place = lines[0].split(",").index("energy_pj")
        values = [float(line.split(",")[place]) for line in lines[1:]]
        assert values == list(report.sites.energy_pj)

    def test_the_button_switches_between_light_and_dark(self, page):
        def background():
            return page.evaluate("getComputedStyle(document.body).backgroundColor")

        assert background() == "rgb(255, 255, 255)"
        page.locator("#theme").click()
        assert background() == "rgb(16, 22, 29)"
        page.locator("#theme").click()
        assert background() == "rgb(255, 255, 255)"

    @pytest.mark.parametrize("width", [360, 768, 1600])
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_nothing_is_wider_than_the_window(self, browser, file, width, scheme):
        for page in opened(browser, file, width=width, scheme=scheme):
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (dark == "rgb(16, 22, 29)") is (scheme == "dark")

    def test_it_prints_on_several_white_pages(self, browser, file, tmp_path):
        for page in opened(browser, file, width=1280, scheme="dark"):
            page.pdf(path=tmp_path / "report.pdf", format="A4", print_background=True)
            page.emulate_media(media="print")
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
                "rgb(255, 255, 255)"
            )
            assert not page.locator("nav").is_visible()
        content = (tmp_path / "report.pdf").read_bytes()
        assert content.startswith(b"%PDF")
        assert 4 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 20

    def test_a_large_page_loads_at_once(self, browser, report, tmp_path):
        file = tmp_path / "large.html"
        write_html(as_large_network(report, 20), file)
        for page in opened(browser, file, width=1280, scheme="light"):
            page.wait_for_load_state("load", timeout=15_000)  # measured 0.4 s; tells one that hangs
            page.locator("#t-sites th[data-name=energy_pj] button").click()
            assert len(column(page, "sites", 1)) == 340
