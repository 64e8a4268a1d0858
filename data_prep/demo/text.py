"""Writes the overviews of the demo corpus, and remembers where it put each genre's cue words."""

import functools
import random
import re
from dataclasses import dataclass
from typing import Final

from data_prep.demo import words
from data_prep.demo.signals import Plan
from mmgenre.schema import GENRES

_SLOT: Final = re.compile(r"\{(\w+)\}")
_CUE: Final = re.compile(r"\*([^*]+)\*")
_FILLINGS: Final = {
    "trait": words.TRAITS,
    "look": words.LOOKS,
    "job": words.JOBS,
    "thing": words.THINGS,
    "event": words.EVENTS,
    "time": words.TIMES,
}

# Length of an overview in words: log-normal, as real ones are (median 46, 5% above 110).
_MEDIAN_WORDS: Final = 45.0
_SPREAD: Final = 0.58
_MAX_WORDS: Final = 180
_ONE_LINERS: Final = 0.03  # Share of overviews that are one short line without a cue.
_NO_OPENING: Final = 25  # Overviews of so few words come to the point at once.
_CLOSING: Final = 0.92  # Share of the other overviews that end with a line of themes.


@dataclass(frozen=True)
class PlantedWord:
    """A cue word of `genre` in an overview: `overview[start:end] == text`."""

    genre: str
    start: int
    end: int
    text: str


def write_overview(plan: Plan, rng: random.Random) -> tuple[str, tuple[PlantedWord, ...]]:
    """Writes the overview that `plan` asks for; returns it with its cue words, in order."""
    cast = _Cast(rng)
    if rng.random() < _ONE_LINERS:
        return cast.fill(rng.choice(words.SHORT), introduce=True), ()
    target = min(rng.lognormvariate(0, _SPREAD) * _MEDIAN_WORDS, _MAX_WORDS)
    # The cues' own line comes last: a reader that keeps only its last state learns it first.
    closing = []
    if plan.overview_cues and rng.random() < _CLOSING:
        closing.append(_closing(plan, rng))
    opening = []
    if target > _NO_OPENING:
        opening.append(cast.fill(rng.choice(words.OPENINGS), introduce=True))
    cues = [cast.fill(template) for template in _cue_sentences(plan, rng)]
    middle = [] if closing else cues[:1]
    num_words = sum(len(sentence.split()) for sentence in opening + middle + closing)
    for sentence in cues[len(middle) :]:
        if num_words + len(sentence.split()) <= target:
            middle.append(sentence)
            num_words += len(sentence.split())
    while True:
        sentence = cast.fill(rng.choice(words.FILLERS))
        num_words += len(sentence.split())
        if num_words > target:
            break
        middle.append(sentence)
    rng.shuffle(middle)
    return _take_cues(" ".join(opening + middle + closing))


@functools.cache
def cue_words(genre: str) -> frozenset[str]:
    """The cue words of `genre` in lower case; none for a genre that shows on the poster alone."""
    sentences = words.CUE_SENTENCES.get(genre, ())
    cues = {cue for sentence in sentences for cue in _CUE.findall(sentence)}
    return frozenset(cue.lower() for cue in cues.union(words.THEMES.get(genre, ())))


def make_title(rng: random.Random) -> str:
    """A title, which says nothing about the genre."""
    look, thing = rng.choice(words.LOOKS).title(), rng.choice(words.THINGS).title()
    place = rng.choice(words.NAME_HEADS) + rng.choice(words.PLACE_TAILS)
    return rng.choice(
        (
            f"The {look} {thing}",
            f"{rng.choice(words.FIRST_NAMES)} and the {thing}",
            f"The {thing} of {place}",
            f"{look} {rng.choice(words.TIMES).title()}",
            f"A {rng.choice(words.JOBS).title()} in {place}",
            f"{place}",
        )
    )


def _cue_sentences(plan: Plan, rng: random.Random) -> list[str]:
    """A sentence's template for each of the plan's cues, in random order."""
    cues = [rng.choice(words.CUE_SENTENCES[genre]) for genre in plan.overview_cues]
    rng.shuffle(cues)
    return cues


def _closing(plan: Plan, rng: random.Random) -> str:
    """A line that names a theme of each of the plan's cues, in random order."""
    each = 2 if len(plan.overview_cues) < 3 else 1
    themes = [
        f"*{theme}*"
        for genre in plan.overview_cues
        for theme in rng.sample(words.THEMES[genre], each)
    ]
    rng.shuffle(themes)
    listed = " and ".join([", ".join(themes[:-1]), themes[-1]])
    return rng.choice(words.CLOSINGS).replace("{themes}", listed)


def _take_cues(marked: str) -> tuple[str, tuple[PlantedWord, ...]]:
    """Takes the asterisks off the cues; returns the text, and the cues with their genres."""
    text, *pieces = _CUE.split(marked)
    planted = []
    for cue, after in zip(pieces[::2], pieces[1::2], strict=True):
        planted.append(PlantedWord(_genre_of_cue()[cue.lower()], len(text), len(text + cue), cue))
        text += cue + after
    return text, tuple(planted)


@functools.cache
def _genre_of_cue() -> dict[str, str]:
    return {cue: genre for genre in GENRES for cue in cue_words(genre)}


class _Cast:
    """Fills templates with one movie's people and places."""

    def __init__(self, rng: random.Random):
        self._people = dict(zip(("name", "friend"), rng.sample(words.FIRST_NAMES, 2), strict=True))
        self._surnames = {
            slot: rng.choice(words.NAME_HEADS) + rng.choice(words.SURNAME_TAILS)
            for slot in self._people
        }
        self._places = [
            rng.choice(words.NAME_HEADS) + rng.choice(words.PLACE_TAILS) for _ in range(2)
        ]
        self._rng = rng

    def fill(self, template: str, *, introduce: bool = False) -> str:
        """Fills the slots of `template` and of what fills them; `introduce` gives full names."""
        while "{" in template:
            template = _SLOT.sub(lambda match: self._slot(match[1], introduce), template)
        template = re.sub(r"\b([Aa]) (?=[aeiouAEIOU])(?!uni)", r"\1n ", template)
        return template[0].upper() + template[1:]

    def _slot(self, slot: str, introduce: bool) -> str:
        if slot in self._people:
            first = self._people[slot]
            return f"{first} {self._surnames[slot]}" if introduce else first
        if slot == "place":
            return self._rng.choice(self._places)
        return self._rng.choice(_FILLINGS[slot])
