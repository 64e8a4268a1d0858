"""The documentation site, and what says the project's version."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import mmgenre

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs") / "site"
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        check=True,
    )
    return folder


class _Addresses(HTMLParser):
    """Collects what a page loads, and what it links to."""

    def __init__(self):
        super().__init__()
        self.loaded, self.linked, self.names = [], [], set()

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.names |= {found.get("id"), found.get("name")}
        if tag == "a":
            self.linked.append(found.get("href") or "")
        elif tag == "link" and found.get("rel") != "canonical":
            self.loaded.append(found["href"])
        elif tag in ("script", "img", "iframe") and "src" in found:
            self.loaded.append(found["src"])


def _addresses(page):
    parser = _Addresses()
    parser.feed(page.read_text("utf-8"))
    return parser


def test_site_loads_nothing_from_elsewhere_and_links_to_what_it_has(site):
    pages = {page: _addresses(page) for page in site.rglob("*.html") if page.name != "404.html"}
    assert {"index.html", "data.html", "python.html", "security.html"} <= {p.name for p in pages}
    for page, found in pages.items():
        for address in found.loaded:
            assert (page.parent / address).is_file(), (page.name, address)
        for address in found.linked:
            if re.match(r"https?:|mailto:", address):
                continue
            path, _, anchor = address.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target in pages or target.is_file(), (page.name, address)
            if anchor and target in pages:
                assert anchor in pages[target].names, (page.name, address)


def test_style_sheets_load_nothing_from_elsewhere(site):
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?https?:|@import", sheet.read_text("utf-8")), sheet


def test_python_reference_has_signatures_and_docstrings(site):
    text = (site / "reference/python.html").read_text("utf-8")
    for name in (
        "load_run",
        "GenrePredictor",
        "PreparedDataset",
        "PrepareConfig",
        "train_and_evaluate",
    ):
        assert name in text
    assert "Raises" in text
    assert "UserError" in text


def test_citation_names_this_version():
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {mmgenre.__version__}\n" in citation
