"""The page to try a run: driven in a browser, with good movies and bad ones."""

import contextlib
import time

import pytest

from tests import browser
from tests.bad_posters import write_wide_poster
from tests.commands import run_several
from tests.web_server import served

pytest.importorskip("starlette")


@pytest.fixture(scope="module")
def server(tiny_run, tmp_path_factory):
    with served(tiny_run.path, tmp_path_factory.mktemp("temporary")) as address:
        yield address


class Page:
    """What a visitor does on the page."""

    def __init__(self, chromium, address):
        self.chromium = chromium
        browser.requested_urls(chromium)
        chromium.get(address)

    def wait(self, condition, seconds=120):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(Exception):  # Elements come and go while the page loads.
                if found := condition():
                    return found
            time.sleep(0.1)
        raise TimeoutError(self.answer()[:500])

    def answer(self):
        return self.chromium.find_element("id", "answer").text

    def upload(self, path):
        self.chromium.find_element("id", "poster").send_keys(str(path))

    def write(self, text):
        box = self.chromium.find_element("id", "overview")
        box.clear()
        box.send_keys(text)

    def ask(self, words):
        self.click("#ask")
        self.wait(lambda: words in self.answer())

    def click(self, selector, number=0):
        self.chromium.find_elements("css selector", selector)[number].click()


def test_in_a_browser(server, demo_corpus, tmp_path):
    text = tmp_path / "text.jpg"
    text.write_text("not a picture")
    wide = write_wide_poster(tmp_path / "wide.png")
    poster = sorted((demo_corpus / "posters").iterdir())[0]
    with browser.chromium() as chromium:
        page = Page(chromium, server)
        page.ask("The movie has neither a poster nor an overview; give at least one.")
        assert all("422" in error for error in browser.console_errors(chromium))
        page.write("A boy finds a map.")
        page.ask("from the overview alone: there is no poster")
        page.wait(lambda: "Completeness" in page.answer())
        assert "Looking for the reasons" not in page.answer()

        page.upload(poster)
        page.ask("Without the poster it would be")
        answer = page.answer()
        assert "there is no poster" not in answer and "at least 0." in answer
        pictures = chromium.find_elements("css selector", "#answer img")
        assert len(pictures) >= 4 and all(p.get_property("naturalWidth") for p in pictures)
        assert browser.console_errors(chromium) == []

        page.write("A detective follows a boy.")  # The poster stays, whatever the overview.
        page.ask("detective")
        page.wait(lambda: "Without the poster it would be" in page.answer())
        page.upload(text)
        page.ask("The poster cannot be used: not an image")
        page.upload(wide)
        page.ask("The poster cannot be used: too many pixels: 30000 x 3000")
        assert len(chromium.find_elements("css selector", ".kept img")) == 1
        page.click("input[name=forget]")
        page.ask("there is no poster")

        page.click(".examples button", 2)
        page.wait(lambda: "Completeness" in page.answer() and "no poster" not in page.answer())
        browser.resize(chromium, 390)
        assert chromium.execute_script("return document.documentElement.scrollWidth") <= 390
        box = "return document.getElementById('answer').getBoundingClientRect()"
        assert chromium.execute_script(f"{box}.height") <= 2000
        hosts = {
            url.split("/")[2]
            for url in browser.requested_urls(chromium)
            if url.startswith(("http:", "https:", "ws:", "wss:"))
        }
        assert hosts == {server.removeprefix("http://")}


def test_mistakes(tiny_run, tmp_path, server):
    port = server.rsplit(":", 1)[1]
    cases = [
        (["--run", tmp_path / "none", "--port", "0"], "no such folder"),
        (["--run", tiny_run.path, "--port", port], "something listens there already"),
        (["--run", tiny_run.path, "--port", "99999"], "cannot listen on 127.0.0.1:99999"),
        (["--run", tiny_run.path, "--host", "no such host"], "cannot listen on no such host"),
    ]
    for (arguments, message), (code, _, error) in zip(
        cases, run_several("mmgenre.demo", [a for a, _ in cases]), strict=True
    ):
        assert code == 2, (arguments, error)
        assert message in error and len(error.strip().splitlines()) == 1, (arguments, error)
