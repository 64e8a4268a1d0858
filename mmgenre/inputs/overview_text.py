"""The text of an overview, or that there is none: one rule for preparation and prediction.

Otherwise the model would be asked to read what preparation never showed it: "No overview found."
"""

import itertools
import re
import unicodedata
from typing import Final

from mmgenre.inputs import mojibake

MAX_CHARACTERS: Final = 100_000
"""Longest overview that is kept or read; the model sees its first words only."""

_PHRASES: Final = """
no overview; no overview found; no overview available; no overview yet; overview not found;
overview not available; overview unavailable; no movie overview available; no plot; no plot found;
no plot available; no plot yet; plot not available; plot unknown; plot kept under wraps;
no description; no description found; no description available; no description yet; no synopsis;
no synopsis available; no summary; no summary available; not available; not available yet; none;
null; nan; n a; na; tba; tbd; tbc; to be announced; to be determined; coming soon; unknown;
add a plot; add a synopsis; overview; plot; missing; undefined; false; true
"""

NO_OVERVIEWS: Final = frozenset(" ".join(phrase.split()) for phrase in _PHRASES.split(";"))
"""Texts that stand for a missing overview, as `normalise` writes them."""

_LONGEST_PHRASE: Final = 64
_MOST_MARKS: Final = 30  # In a row, of Unicode's Stream-Safe Text Format (UAX #15, section 13).
_FEW: Final = 1_000  # Characters that are sorted quickly, whatever they are.
_TMDB_HAS_NONE: Final = re.compile(
    r"we don.?t have an? (overview|synopsis|plot|description|summary)\b[^.]{0,60}\.?\s*"
    r"(help us expand our (database|catalog\w*) by adding one\.?)?\s*$",
    re.IGNORECASE,
)
"""What The Movie Database's pages say in place of an overview: "We don't have an overview
translated in English. Help us expand our database by adding one."."""

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_NO_WORD: Final = re.compile(r"[\W_]+")


def mend(text: str) -> str:
    """Without NULs and lone surrogates, which neither UTF-8 nor a record carries, and trimmed."""
    return _UNSTORABLE.sub(" ", text).strip()


def needs_mending(text: str) -> bool:
    """Whether `mend` would take out more than blanks at the ends."""
    return _UNSTORABLE.search(text) is not None


def says_there_is_none(text: str) -> bool:
    """Whether a text stands for a missing overview, such as "No overview found."."""
    if len(text) < _LONGEST_PHRASE and normalise(text) in NO_OVERVIEWS:
        return True
    return _TMDB_HAS_NONE.match(text) is not None


def is_no_text(text: str) -> bool:
    """Whether a text is none: only numbers and signs, or a cell of another column."""
    return text.startswith(("[{'", "{'")) or not any(map(str.isalpha, text))


def known(overview: str | None) -> str:
    """Returns the overview that the model is to read, mended; "" where there is none.

    Mended is also what was read as Windows-1252 and is UTF-8: see `mmgenre.inputs.mojibake`.

    Longer ones than `MAX_CHARACTERS` are not cut.
    """
    text = mojibake.mended(mend(overview or ""))
    return "" if says_there_is_none(text) or is_no_text(text) else text


def normalise(text: str) -> str:
    """The letters and digits of a text, to tell copies: case, punctuation and spaces are gone."""
    text = unicodedata.normalize("NFKC", _with_short_runs_of_marks(text)).casefold()
    return _NO_WORD.sub(" ", text).strip()


def _with_short_runs_of_marks(text: str) -> str:
    """Cuts runs of combining marks, which Unicode's normalisation takes quadratic time to sort."""
    if len(text) <= _FEW or text.isascii():
        return text
    runs = itertools.groupby(text, lambda character: unicodedata.combining(character) > 0)
    return "".join(
        "".join(itertools.islice(run, _MOST_MARKS) if is_marks else run) for is_marks, run in runs
    )
