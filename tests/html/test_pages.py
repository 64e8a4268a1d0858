"""All pages: for readers with a keyboard, a screen reader, a phone, a dark screen or a printer."""

import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from mmgenre.prediction.explanation import write_explanation
from mmgenre.prediction.predictor import GenrePredictor
from mmgenre.report.page import write_report
from tests import browser
from tests.web_server import served

OVERVIEW = "A young detective finds a map and follows a killer through a haunted house."
PAPER = (718, 1046)
"""CSS pixels of a sheet of A4 between its margins."""


@pytest.fixture(scope="module")
def pages(tiny_run, demo_corpus, tmp_path_factory):
    """The files of a report, a comparison and an explanation."""
    folder = tmp_path_factory.mktemp("pages")
    poster = str(sorted((demo_corpus / "posters").iterdir())[0])
    why = folder / "why.html"
    predictor = GenrePredictor.load(tiny_run.path)
    write_explanation(predictor, why, poster=poster, overview=OVERVIEW)
    second = folder / "second"
    shutil.copytree(tiny_run.path, second)
    return {
        "report": write_report([tiny_run.path], folder / "report.html"),
        "comparison": write_report([tiny_run.path, second], folder / "both.html"),
        "why": why,
    }


@pytest.fixture(scope="module")
def chromium():
    with browser.chromium() as chromium:
        yield chromium


def check_everywhere(chromium, name):
    for width in (1280, 360):
        for scheme in ("light", "dark"):
            browser.resize(chromium, width)
            browser.prefer(chromium, scheme)
            faults = browser.accessibility_faults(chromium)
            assert not faults, (name, width, scheme, faults)
            wide = chromium.execute_script("return document.documentElement.scrollWidth")
            assert wide <= width, (name, width)


def test_axe_finds_nothing_serious_in_files(pages, chromium):
    for name, page in pages.items():
        chromium.get(page.as_uri())
        check_everywhere(chromium, name)


def test_axe_finds_nothing_serious_on_the_served_page(tiny_run, chromium, tmp_path):
    pytest.importorskip("starlette")
    with served(tiny_run.path, tmp_path) as address:
        chromium.get(address)
        check_everywhere(chromium, "empty")
        chromium.find_element("id", "ask").click()
        chromium.implicitly_wait(60)  # The next page is on its way.
        assert chromium.find_element("css selector", "[role=alert]")
        check_everywhere(chromium, "mistake")
        chromium.find_element("css selector", ".examples button").click()
        assert chromium.find_element("css selector", "#answer .why ~ p")
        check_everywhere(chromium, "answer")


def test_figures_fit_on_a_sheet_and_are_not_cut(pages, chromium):
    browser.resize(chromium, *PAPER)
    for name in ("report", "comparison"):
        chromium.get(pages[name].as_uri())
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        figures = chromium.execute_script(
            "return [...document.querySelectorAll('figure')].map(f =>"
            " [f.id, getComputedStyle(f).breakInside, f.getBoundingClientRect().height])"
        )
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
        assert len(figures) >= 5
        for figure, broken, height in figures:
            assert broken == "avoid" and height < PAPER[1], (figure, broken, height)


def test_colours_and_each_words_part_are_on_paper(pages, chromium, tmp_path):
    if shutil.which("pdftoppm") is None or shutil.which("pdftotext") is None:
        pytest.skip("there are no poppler-utils")
    chromium.get(pages["why"].as_uri())
    parts = chromium.execute_script(
        "return [...document.querySelectorAll('details .chip')].map(e => e.textContent)"
    )
    assert len(parts) >= 3 * len(OVERVIEW.split())
    pdf = tmp_path / "why.pdf"
    pdf.write_bytes(browser.printed(chromium))
    text = subprocess.run(["pdftotext", pdf, "-"], capture_output=True, text=True, check=True)
    words = " ".join(text.stdout.split())
    assert all(part in words for part in parts)
    subprocess.run(["pdftoppm", "-r", "40", "-png", pdf, tmp_path / "sheet"], check=True)
    sheets = [np.asarray(Image.open(sheet)) for sheet in sorted(tmp_path.glob("sheet*.png"))]
    for colour in ((0, 158, 115), (204, 121, 167)):  # The overview's share, and the poster's.
        close = [np.abs(sheet.astype(int) - colour).max(axis=-1) < 12 for sheet in sheets]
        assert sum(int(pixels.sum()) for pixels in close) > 100, colour
