"""Why a movie gets its genres: words, regions of the poster, and each half's share. As a page."""

import base64
import dataclasses
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from mmgenre import schema
from mmgenre.errors import UserError
from mmgenre.evaluation import split_record
from mmgenre.html.pages import render
from mmgenre.machine import files
from mmgenre.models.fusion import STATISTICS
from mmgenre.prediction import attribution
from mmgenre.prediction.attribution import Attribution
from mmgenre.prediction.movie import Movie, Poster
from mmgenre.prediction.predictor import GenrePredictor, Prediction

RAISES: Final = (0, 114, 178)
"""Blue: what speaks for a genre."""

LOWERS: Final = (213, 94, 0)
"""Orange: what speaks against it; the pair is safe for the colour-blind."""

_GREY: Final = "rgba(128, 128, 128, 0.25)"  # Behind words that are not in the vocabulary.

_AT_LEAST: Final = 3
_AT_MOST: Final = 6
_PICTURE: Final = (240, 360)
_SHOWN_WORDS: Final = 8
_SHOWN_GENRES: Final = 8


@dataclasses.dataclass(frozen=True)
class GenreExplanation:
    """Why one genre.

    Attributes:
      genre: its name.
      probability: given to it.
      predicted: whether that is enough.
      attribution: of its logit to words and pixels.
      without_poster: its probability with the poster withheld; None where there is no poster.
      without_overview: its probability with the overview withheld; None where there is none.
      poster_share: the poster's share of the decision; None where a half is missing.
    """

    genre: str
    probability: float
    predicted: bool
    attribution: Attribution
    without_poster: float | None
    without_overview: float | None
    poster_share: float | None


_EVIDENCE: Final[Mapping[str, str]] = {
    schema.POSTER_VECTOR: "the frozen encoder of posters",
    schema.OVERVIEW_VECTOR: "the frozen encoder of overviews",
    STATISTICS: "colours, textures and edges of the poster as a whole",
}
"""What has a part of the logit as a whole, by its name in `Attribution.vectors`."""


@dataclasses.dataclass(frozen=True)
class Explanation:
    """Why a movie's genres.

    Attributes:
      prediction: what is explained.
      genres: the predicted ones, and the next ones up to three; most probable first.
      overview: the text; "" for none.
      spans: (id, word, start, end) of the words that the model read; see `tokenizer.spans`.
      poster: <uint8>[64, 64, 3], or None.
    """

    prediction: Prediction
    genres: list[GenreExplanation]
    overview: str
    spans: list[tuple[int, str, int, int]]
    poster: np.ndarray | None


def explain(predictor: GenrePredictor, poster: Poster | None, overview: str | None) -> Explanation:
    """Explains the prediction for one movie; raises UserError as `GenrePredictor.predict`."""
    movie = predictor.movie(poster, overview)
    return explain_movie(predictor, movie, predictor.vectors([movie]))


def explain_movie(
    predictor: GenrePredictor,
    movie: Movie,
    vectors: Mapping[str, np.ndarray],
    asked: Sequence[str] = (),
) -> Explanation:
    """Explains the prediction for one movie.

    Args:
      predictor: the run.
      movie: it.
      vectors: <float16>[1, size] of the run's encoders, by feature.
      asked: the genres to explain; by default the predicted ones, and the next ones up to three.
    """
    # Words and their places are of what the model read.
    pixels, tokens, text = movie.poster, movie.tokens, movie.text
    (row,) = predictor.logits([pixels], [tokens], vectors)
    prediction = predictor.answer(
        row, has_poster=movie.has_poster, has_overview=movie.has_overview
    ).with_words(predictor.tokenizer.count_words(tokens), predictor.note)
    nothing = np.zeros(0, np.int32)
    halves = {}  # Of the movie, of its poster alone, and of its overview alone.
    for name, rows in vectors.items():
        is_posters = name == schema.POSTER_VECTOR
        halves[name] = np.concatenate([rows, rows * is_posters, rows * (not is_posters)])
    logits, poster_logits, overview_logits = predictor.logits(
        [pixels, pixels, None], [tokens, nothing, tokens], halves
    )
    shares = split_record.poster_share(logits, poster_logits, overview_logits)
    without_poster = predictor.rules.overview_alone.probabilities(overview_logits)
    without_overview = predictor.rules.poster_alone.probabilities(poster_logits)
    ranked = sorted(predictor.genres, key=lambda genre: -prediction.probabilities[genre])
    count = min(max(_AT_LEAST, len(prediction.genres)), _AT_MOST)
    chosen = [*prediction.genres, *(g for g in ranked if g not in prediction.genres)][:count]
    chosen = list(asked) or chosen
    indices = [predictor.genres.index(genre) for genre in chosen]
    attributions = attribution.attribute(
        predictor.model,
        predictor.params,
        predictor.batch([pixels], [tokens], {name: rows[:1] for name, rows in halves.items()}),
        indices,
        len(tokens),
    )
    both = prediction.missing is None
    genres = [
        GenreExplanation(
            genre=predictor.genres[g],
            probability=prediction.probabilities[predictor.genres[g]],
            predicted=predictor.genres[g] in prediction.genres,
            attribution=parts,
            without_poster=float(without_poster[g]) if both else None,
            without_overview=float(without_overview[g]) if both else None,
            poster_share=float(shares[g]) if both else None,
        )
        for g, parts in zip(indices, attributions, strict=True)
    ]
    spans = predictor.tokenizer.spans(text)[: len(tokens)]
    return Explanation(prediction, genres, text, spans, pixels)


def write_explanation(
    predictor: GenrePredictor, out: Path, *, poster: Poster | None, overview: str | None
) -> None:
    """Writes the page of one movie into a new file, whole or not at all."""
    html = explanation_page(predictor, explain(predictor, poster, overview))
    try:
        files.write_text(out, html)
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror}") from error


def explanation_page(predictor: GenrePredictor, explanation: Explanation) -> str:
    """Returns the page of one movie."""
    return render("explanation.html.j2", **explanation_values(predictor, explanation))


def explanation_values(predictor: GenrePredictor, explanation: Explanation) -> dict[str, Any]:
    """Returns what the templates of an explanation are filled with."""
    values = page_values(predictor, explanation.prediction, explanation.poster)
    return values | {"genres": genre_views(explanation)}


def genre_views(explanation: Explanation) -> list[dict[str, Any]]:
    """Returns what `reason.html.j2` is filled with, for each genre that is explained."""
    return [_genre_view(explanation, genre) for genre in explanation.genres]


def page_values(
    predictor: GenrePredictor, prediction: Prediction, poster: np.ndarray | None
) -> dict[str, Any]:
    """Returns the part of `explanation_values` that is known before anything is explained."""
    ranked = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
    # A genre with a low threshold may be predicted and yet not be among the most probable.
    predicted = [item for item in ranked[_SHOWN_GENRES:] if item[0] in prediction.genres]
    return {
        "run": predictor.name,
        "step": predictor.step,
        "prediction": prediction,
        "missing": prediction.missing,
        "shown": ranked[:_SHOWN_GENRES] + predicted,
        "poster": None if poster is None else png(enlarge(poster)),
    }


def _genre_view(explanation: Explanation, genre: GenreExplanation) -> dict[str, Any]:
    parts = genre.attribution
    view: dict[str, Any] = {
        field.name: getattr(genre, field.name) for field in dataclasses.fields(genre)
    }
    return view | {
        "pieces": word_pieces(explanation, parts),
        "picture": None
        if explanation.poster is None
        else png(region_picture(explanation.poster, parts.pixels)),
        "from_words": float(parts.words.sum()),
        "from_pixels": float(parts.pixels.sum()),
        "from_vectors": sum(parts.vectors.values()),
        "evidence": [(_EVIDENCE[name], part) for name, part in parts.vectors.items()],
        "strongest": strongest_words(explanation, parts),
    }


def word_pieces(explanation: Explanation, parts: Attribution) -> list[dict[str, Any]]:
    """Cuts the overview into pieces: "text", "color" or None, "title" and "unknown".

    The title is shown on hovering; a word is unknown that is not in the vocabulary.

    The stronger a word's part, the stronger its colour, against the strongest of the genre.
    """
    pieces: list[dict[str, Any]] = []
    end_of_last = 0
    strongest = float(np.abs(parts.words).max(initial=1e-9))
    for (token, _, start, end), value in zip(explanation.spans, parts.words, strict=True):
        pieces.append(_piece(explanation.overview[end_of_last:start]))
        text, alpha = explanation.overview[start:end], abs(float(value)) / strongest
        color = ", ".join(map(str, RAISES if value > 0 else LOWERS))
        unknown = token == schema.UNKNOWN_ID
        title = f"{value:+.2f}" + ("; not in the vocabulary" if unknown else "")
        # Grey behind it, not in front: grey letters on a colour are hard to read.
        background = _GREY if unknown else f"rgba({color}, {0.7 * alpha:.2f})"
        pieces.append(_piece(text, background, title) | {"unknown": unknown})
        end_of_last = end
    rest = explanation.overview[end_of_last:]
    pieces.append(_piece(rest[:2000] + (" ..." if len(rest) > 2000 else "")))
    return [piece for piece in pieces if piece["text"]]


def _piece(text: str, color: str | None = None, title: str = "") -> dict[str, Any]:
    return {"text": text, "color": color, "title": title, "unknown": False}


def strongest_words(explanation: Explanation, parts: Attribution) -> list[tuple[str, float]]:
    """Returns the words with the largest parts, each once with the sum of its parts."""
    sums: dict[str, float] = {}
    for (_, word, _, _), value in zip(explanation.spans, parts.words, strict=True):
        sums[word.lower()] = sums.get(word.lower(), 0.0) + float(value)
    ranked = sorted(sums.items(), key=lambda item: -abs(item[1]))
    return ranked[:_SHOWN_WORDS]


def enlarge(poster: np.ndarray) -> Image.Image:
    """Returns a poster as the model sees it, in a poster's proportions."""
    return Image.fromarray(poster).resize(_PICTURE, Image.Resampling.BICUBIC)


def region_picture(poster: np.ndarray, pixels: np.ndarray) -> Image.Image:
    """Returns the poster in grey, with what raises the genre in blue and what lowers it in orange.

    Args:
      poster: <uint8>[64, 64, 3].
      pixels: <float32>[64, 64], each pixel's part; neighbours are averaged, since single pixels say
        little.
    """
    smooth = smoothed(pixels)
    strength = np.abs(smooth) / max(float(np.abs(smooth).max()), 1e-12)
    color = np.where((smooth > 0)[..., None], RAISES, LOWERS).astype(np.uint8)
    alpha = (255 * 0.85 * strength**0.8).astype(np.uint8)
    layer = Image.fromarray(np.dstack([color, alpha]), "RGBA")
    grey = enlarge(poster).convert("L").convert("RGBA")
    # Faded, so that the colours are what is seen.
    grey = Image.blend(grey, Image.new("RGBA", grey.size, "white"), 0.35)
    grey.alpha_composite(layer.resize(_PICTURE, Image.Resampling.BICUBIC))
    return grey.convert("RGB")


def smoothed(pixels: np.ndarray, sigma: float = 1.5) -> np.ndarray:
    """Returns <float>[height, width], averaged over neighbours by a Gaussian of `sigma` pixels."""
    from scipy import ndimage  # Here: it takes 0.3 s, which no plain prediction shall wait for.

    return ndimage.gaussian_filter(pixels, sigma, mode="constant", truncate=3)


def png(image: Image.Image) -> str:
    """Returns a picture as a PNG file in base 64."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
