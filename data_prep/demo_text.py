"""Writes the overviews of the demo corpus, and remembers where it put each genre's cue words."""

import random
import re
from dataclasses import dataclass
from typing import Final

from data_prep import demo_words as words
from data_prep.demo_signals import CONTRAST_GENRE, Plan

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
_OVERRUN: Final = 1.5  # Cue sentences may overrun the drawn length by this factor; fillers may not.


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

    cues = _cue_sentences(plan, rng)
    sentences, num_words = [], 0
    for genre, template in cues:
        sentence = cast.fill(template)
        length = len(sentence.split())
        if sentences and num_words + length > target * _OVERRUN:
            continue
        sentences.append((genre, sentence))
        num_words += length
    # Cues come late more often than early, for a reader that keeps only its last state.
    placed = [(rng.random() + 0.5, genre, sentence) for genre, sentence in sentences]
    if target > _NO_OPENING:
        placed.append((-1.0, None, cast.fill(rng.choice(words.OPENINGS), introduce=True)))
    num_words = sum(len(sentence.split()) for _, _, sentence in placed)
    while True:
        sentence = cast.fill(rng.choice(words.FILLERS))
        num_words += len(sentence.split())
        if num_words > target:
            break
        placed.append((rng.random(), None, sentence))
    return _join([(genre, sentence) for _, genre, sentence in sorted(placed, key=lambda p: p[0])])


def cue_words(genre: str) -> frozenset[str]:
    """The cue words of `genre`, in lower case; of Drama, those of both seasons."""
    templates = words.CUE_SENTENCES.get(genre, ())
    if genre == CONTRAST_GENRE:
        templates = words.SUMMER_SENTENCES + words.WINTER_SENTENCES
    return frozenset(cue.lower() for template in templates for cue in _CUE.findall(template))


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


def _cue_sentences(plan: Plan, rng: random.Random) -> list[tuple[str, str]]:
    """Templates of the plan's cues with their genres, in random order."""
    season = words.SUMMER_SENTENCES if plan.summer else words.WINTER_SENTENCES
    cues = [(genre, rng.choice(words.CUE_SENTENCES[genre])) for genre in plan.overview_cues]
    cues.append((CONTRAST_GENRE, rng.choice(season)))
    rng.shuffle(cues)
    return cues


def _join(sentences: list[tuple[str | None, str]]) -> tuple[str, tuple[PlantedWord, ...]]:
    """Joins sentences, and takes the asterisks off their cues."""
    overview, planted = "", []
    for genre, sentence in sentences:
        overview += " " if overview else ""
        position = 0
        for match in _CUE.finditer(sentence):
            overview += sentence[position : match.start()]
            cue = match[1]
            assert genre is not None, sentence
            planted.append(PlantedWord(genre, len(overview), len(overview) + len(cue), cue))
            overview += cue
            position = match.end()
        overview += sentence[position:]
    return overview, tuple(planted)


class _Cast:
    """Fills templates with one movie's people and places."""

    def __init__(self, rng: random.Random):
        self._people = dict(zip(("name", "friend"), rng.sample(words.FIRST_NAMES, 2), strict=True))
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
            surname = self._rng.choice(words.NAME_HEADS) + self._rng.choice(words.SURNAME_TAILS)
            return f"{self._people[slot]} {surname}" if introduce else self._people[slot]
        if slot == "place":
            return self._rng.choice(self._places)
        return self._rng.choice(_FILLINGS[slot])
