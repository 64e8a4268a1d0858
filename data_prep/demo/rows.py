"""Rows of the demo corpus's metadata: Kaggle's 24 columns, and a little of its dirt."""

import datetime
import random
from typing import Final

from data_prep.demo import words

COLUMNS: Final = (
    "adult",
    "belongs_to_collection",
    "budget",
    "genres",
    "homepage",
    "id",
    "imdb_id",
    "original_language",
    "original_title",
    "overview",
    "popularity",
    "poster_path",
    "production_companies",
    "production_countries",
    "release_date",
    "revenue",
    "runtime",
    "spoken_languages",
    "status",
    "tagline",
    "title",
    "video",
    "vote_average",
    "vote_count",
)
OVERVIEW_COLUMN: Final = COLUMNS.index("overview")

_GENRE_IDS: Final = {
    "Action": 28,
    "Adventure": 12,
    "Animation": 16,
    "Comedy": 35,
    "Crime": 80,
    "Documentary": 99,
    "Drama": 18,
    "Family": 10751,
    "Fantasy": 14,
    "Foreign": 10769,
    "History": 36,
    "Horror": 27,
    "Music": 10402,
    "Mystery": 9648,
    "Romance": 10749,
    "Science Fiction": 878,
    "TV Movie": 10770,
    "Thriller": 53,
    "War": 10752,
    "Western": 37,
}
_COUNTRIES: Final = (
    ("US", "United States of America", "en", "English"),
    ("GB", "United Kingdom", "en", "English"),
    ("FR", "France", "fr", "Français"),
    ("DE", "Germany", "de", "Deutsch"),
    ("JP", "Japan", "ja", "日本語"),
    ("IN", "India", "hi", "हिन्दी"),
)
_COUNTRY_WEIGHTS: Final = (60, 14, 9, 7, 5, 5)
_NO_OVERVIEW: Final = ("", "", "", " ", "No overview found.")


def metadata_row(
    *,
    movie_id: str,
    title: str,
    genres: list[str],
    overview: str,
    poster_path: str,
    rng: random.Random,
) -> list[str]:
    """A row in the order of `COLUMNS`, columns that mmgenre does not read filled plausibly."""
    country, country_name, language, language_name = rng.choices(_COUNTRIES, _COUNTRY_WEIGHTS)[0]
    budget = rng.choice((0, 0, 0, rng.randrange(1, 900) * 100_000))
    revenue = int(budget * rng.lognormvariate(0.4, 0.8))
    series = f"{{'id': {rng.randrange(1, 99999)}, 'name': '{title} Collection'}}"
    released = datetime.date(1930, 1, 1) + datetime.timedelta(rng.randrange(87 * 365))
    companies = [_company(rng) for _ in range(rng.randrange(4))]
    values = {
        "adult": "False",
        "belongs_to_collection": series if rng.random() < 0.1 else "",
        "budget": str(budget),
        "genres": repr([{"id": _GENRE_IDS[genre], "name": genre} for genre in genres]),
        "homepage": "",
        "id": movie_id,
        "imdb_id": f"tt{int(movie_id):07d}",
        "original_language": language,
        "original_title": title,
        "overview": overview,
        "popularity": f"{rng.lognormvariate(0, 1.2):.6f}",
        "poster_path": poster_path,
        "production_companies": repr(companies),
        "production_countries": repr([{"iso_3166_1": country, "name": country_name}]),
        "release_date": released.isoformat(),
        "revenue": str(revenue),
        "runtime": rng.choice((f"{rng.gauss(97, 18):.1f}", f"{rng.gauss(97, 18):.1f}", "0")),
        "spoken_languages": repr([{"iso_639_1": language, "name": language_name}]),
        "status": "Released",
        "tagline": f"Bring the {rng.choice(words.THINGS)}." if rng.random() < 0.4 else "",
        "title": title,
        "video": "False",
        "vote_average": f"{min(max(rng.gauss(6, 1.2), 0), 10):.1f}",
        "vote_count": str(int(rng.lognormvariate(2.5, 1.6))),
    }
    return [values[column] for column in COLUMNS]


def company_genres(rng: random.Random) -> str:
    """A `genres` field that lists production companies, as three of Kaggle's do."""
    return repr([_company(rng) for _ in range(2)])


def no_overview(rng: random.Random) -> str:
    """One of the ways in which an overview is missing."""
    return rng.choice(_NO_OVERVIEW)


def split_row(row: list[str]) -> tuple[list[str], list[str]]:
    """Breaks a row after its overview, as three of Kaggle's are.

    Returns:
      The row up to the overview, too short; and the rest as a row of its own, shifted to the left,
      so that prose is in `adult`, a date in `id` and companies in `genres`.
    """
    cut = OVERVIEW_COLUMN + 1
    return row[:cut], [f" - Written by {words.FIRST_NAMES[0]}", *row[cut:]]


def _company(rng: random.Random) -> dict[str, str | int]:
    name = rng.choice(words.NAME_HEADS) + rng.choice(words.SURNAME_TAILS)
    return {"name": f"{name} Pictures", "id": rng.randrange(1, 99999)}
