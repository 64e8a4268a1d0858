"""A headless Chromium for tests, where there is one: its console, its requests, its size."""

import base64
import contextlib
import importlib.resources
import json
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """Starts Debian's Chromium with an empty profile; skips the test where it is missing."""
    selenium = pytest.importorskip("selenium.webdriver")
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("there is no chromium with its chromedriver")
    with tempfile.TemporaryDirectory() as profile:
        options = selenium.ChromeOptions()
        options.binary_location = binary
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        browser = selenium.Chrome(options=options, service=selenium.ChromeService(driver))
        try:
            yield browser
        finally:
            browser.quit()


def resize(browser: Any, width: int, height: int = 900) -> None:
    """Makes the page so many CSS pixels wide, as on such a screen."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def console_errors(browser: Any) -> list[str]:
    """The errors in the console since the last call."""
    return [e["message"] for e in browser.get_log("browser") if e["level"] == "SEVERE"]


def requested_urls(browser: Any) -> list[str]:
    """The addresses that the page asked for since the last call."""
    urls = []
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            urls.append(message["params"]["request"]["url"])
    return urls


def prefer(browser: Any, scheme: str) -> None:
    """Makes the page "light" or "dark", as its reader's system asks for."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def accessibility_faults(browser: Any) -> list[str]:
    """What axe finds on the page and calls serious or critical: the rule, and where."""
    pytest.importorskip("axe_core_python")
    script = importlib.resources.files("axe_core_python") / "axe.min.js"
    browser.execute_script(script.read_text("utf-8"))
    result = browser.execute_async_script(
        "axe.run(document, {resultTypes: ['violations']}).then(arguments[0])"
    )
    assert len(result["passes"]) > 10  # It looked.
    return [
        f"{fault['id']}: {node['html'][:100]}"
        for fault in result["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


def printed(browser: Any) -> bytes:
    """The page on A4 paper, as a PDF, with what browsers leave out to save ink left out."""
    paper = {"paperWidth": 8.27, "paperHeight": 11.69, "printBackground": False}
    return base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", paper)["data"])
