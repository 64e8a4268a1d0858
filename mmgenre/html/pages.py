"""Fills the HTML templates: pages of one file that ask the network for nothing."""

import functools
import importlib.resources
import re
from typing import Any, Final

import jinja2

import mmgenre

# What Markdown may read as more than itself: names hold hyphens, and only the first is a bullet.
_MARKS: Final = re.compile(r"""[!"#$%&()*+.:;<=>?@[\\\]^_`{|}~]|^-""")


def render(template: str, **values: Any) -> str:
    """Returns a page: `template` of the folder `templates`, filled with `values`.

    All text is escaped; a value that the template asks for and does not get is an error.
    """
    page = _environment().get_template(template)
    return page.render(version=mmgenre.__version__, **values)


@functools.cache
def _environment() -> jinja2.Environment:
    folder = importlib.resources.files("mmgenre.html") / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (folder / name).read_text("utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _number
    environment.filters["percent"] = lambda value: "-" if value is None else f"{value:.0%}"
    return environment


def render_text(template: str, **values: Any) -> str:
    """Returns a Markdown text: `template` filled in; the filter `plain` is for others' words."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    environment.filters["number"] = _number
    environment.filters["plain"] = _plain
    return environment.from_string(template).render(version=mmgenre.__version__, **values) + "\n"


def _plain(text: str) -> str:
    """Returns the Markdown of a text of one line, with all its marks shown as they are."""
    return _MARKS.sub(r"\\\g<0>", " ".join(text.split()))


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
