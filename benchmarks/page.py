"""Size of the HTML report and the time a browser needs for it; run by hand, needs chromium.

python benchmarks/page.py
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

from playwright.sync_api import sync_playwright

from analysis.reporting.html.page import write_html
from tests.analysis.reports import as_large_network, shipped_report

CHROMIUM = "/usr/bin/chromium"
LOADED = "performance.getEntriesByType('navigation')[0].loadEventEnd"


def load_ms(browser, file):
    page = browser.new_page()
    page.goto(file.as_uri())
    milliseconds = page.evaluate(LOADED)
    page.close()
    return milliseconds


def main():
    report = shipped_report()
    with sync_playwright() as play, tempfile.TemporaryDirectory() as folder:
        browser = play.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        for times in (1, 20):
            file, start = Path(folder) / "report.html", time.perf_counter()
            write_html(as_large_network(report, times) if times > 1 else report, file)
            written = time.perf_counter() - start
            milliseconds = median(load_ms(browser, file) for _ in range(5))
            print(
                f"{17 * times} weight operations: {file.stat().st_size / 1e3:.0f} kB, "
                f"written in {written:.2f} s, loaded in {milliseconds:.0f} ms"
            )
        browser.close()


if __name__ == "__main__":
    main()
