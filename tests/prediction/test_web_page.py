"""The page to try a run: driven in a browser, with good movies and bad ones."""

import contextlib
import re
import subprocess
import sys
import time

import pytest

from tests import browser
from tests.bad_posters import write_wide_poster
from tests.commands import ROOT, environment, run_several


@pytest.fixture(scope="module")
def server(tiny_run):
    """Serves the page of the run; returns its address."""
    pytest.importorskip("gradio")
    command = [sys.executable, "-m", "mmgenre.demo", "--run", str(tiny_run.path), "--port", "0"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        line = process.stdout.readline()
        try:
            yield re.search(r"http://127\.0\.0\.1:\d+", line)[0]
        finally:
            process.terminate()


class Page:
    """What a visitor does on the page."""

    def __init__(self, chromium, address):
        self.chromium = chromium
        browser.requested_urls(chromium)
        chromium.get(address)
        self.wait(lambda: chromium.find_elements("id", "predict"))

    def wait(self, condition, seconds=120):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(Exception):  # Elements come and go while the page renders.
                if found := condition():
                    return found
            time.sleep(0.2)
        raise TimeoutError(self.result()[:500])

    def result(self):
        return self.chromium.find_element("id", "result").text

    def upload(self, path):
        find = self.chromium.find_elements
        for close in find("css selector", "button[aria-label='Clear'], button[title='Clear']"):
            close.click()
        self.wait(lambda: find("css selector", "input[type=file]"))[0].send_keys(str(path))
        # Asked before the upload has ended, the page would answer without the poster.
        self.wait(lambda: "/file=" in find("css selector", "#poster img")[0].get_attribute("src"))

    def write(self, text):
        box = self.chromium.find_element("css selector", "textarea")
        box.clear()
        box.send_keys(text)

    def ask(self, words):
        self.chromium.find_element("id", "predict").click()
        self.wait(lambda: words in self.result())


def test_in_a_browser(server, demo_corpus, tmp_path):
    text = tmp_path / "text.jpg"
    text.write_text("not a picture")
    wide = write_wide_poster(tmp_path / "wide.png")
    poster = sorted((demo_corpus / "posters").iterdir())[0]
    with browser.chromium() as chromium:
        page = Page(chromium, server)
        page.ask("Give a poster, an overview, or both.")
        page.write("A boy finds a map.")
        page.ask("from the overview alone: there is no poster")
        page.wait(lambda: "Completeness" in page.result())
        page.upload(poster)
        page.ask("Without the poster it would be")
        result = page.result()
        assert "there is no poster" not in result and "at least 0." in result
        pictures = chromium.find_elements("css selector", "#result img")
        assert len(pictures) >= 4 and all(p.get_property("naturalWidth") for p in pictures)
        assert browser.console_errors(chromium) == []

        page.upload(text)
        page.ask("The poster cannot be used: not an image")
        page.upload(wide)
        page.ask("The poster cannot be used: too many pixels: 30000 x 3000")
        browser.resize(chromium, 390)
        assert chromium.execute_script("return document.documentElement.scrollWidth") <= 390
        hosts = {
            url.split("/")[2]
            for url in browser.requested_urls(chromium)
            if url.startswith(("http:", "https:", "ws:", "wss:"))
        }
        assert hosts == {server.removeprefix("http://")}


def test_uploads_are_capped(server):
    import httpx

    from mmgenre.prediction.web_page import MAX_UPLOAD

    files = {"files": ("big.jpg", bytes(MAX_UPLOAD + 1))}
    response = httpx.post(f"{server}/gradio_api/upload", files=files)
    assert response.status_code == 413
    policy = httpx.get(server).headers["content-security-policy"]
    assert "default-src 'self'" in policy and "http:" not in policy


def test_mistakes(tiny_run, tmp_path, server):
    pytest.importorskip("gradio")
    port = server.rsplit(":", 1)[1]
    cases = [
        (["--run", tmp_path / "none", "--port", "0"], "no such folder"),
        (["--run", tiny_run.path, "--port", port], "something listens there already"),
        (["--run", tiny_run.path, "--port", "99999"], "cannot listen on 127.0.0.1:99999"),
    ]
    for (arguments, message), (code, _, error) in zip(
        cases, run_several("mmgenre.demo", [a for a, _ in cases]), strict=True
    ):
        assert code == 2, (arguments, error)
        assert message in error and len(error.strip().splitlines()) == 1, (arguments, error)
