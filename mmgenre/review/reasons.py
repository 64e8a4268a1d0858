"""The words and regions behind what a review says of a movie, by the model that never saw it."""

from collections.abc import Callable, Mapping
from typing import Any

from etils import epath

from mmgenre import schema
from mmgenre.prediction.explanation import explain_movie, genre_views
from mmgenre.prediction.movie import Movie
from mmgenre.prediction.predictor import GenrePredictor
from mmgenre.review.folds import Folds
from mmgenre.review.page import Suspect


def run_folder(out: epath.Path, fold: int) -> epath.Path:
    """Returns the run directory of a fold, which is counted from 0, in a review's folder."""
    return out / f"fold-{fold + 1}"


class Reasons:
    """Explains movies; loads the model of a fold where it is first needed."""

    def __init__(
        self,
        out: epath.Path,
        folds: Folds,
        facts: Mapping[int, Mapping[str, Any]],
        done: Callable[[], object],
    ):
        """Loads nothing yet.

        Args:
          out: the review's folder.
          folds: the movies.
          facts: the features of the movies that will be asked for, by the movie's number.
          done: is called after each movie.
        """
        self._out, self._folds, self._facts, self._done = out, folds, facts, done
        self._predictors: dict[int, GenrePredictor] = {}

    def of(self, suspect: Suspect) -> list[dict[str, Any]]:
        """Returns what `reason.html.j2` is filled with, for each suspicious genre of a movie."""
        fold = int(self._folds.fold_of[suspect.movie])
        if fold not in self._predictors:
            # The vectors of frozen encoders are in the records: no encoder has to run.
            run = run_folder(self._out, fold)
            self._predictors[fold] = GenrePredictor.load(run, with_encoders=False)
        predictor = self._predictors[fold]
        facts = self._facts[suspect.movie]
        movie = Movie(
            facts[schema.POSTER] if facts[schema.HAS_POSTER] else None,
            predictor.encode(facts[schema.OVERVIEW]),
            text=facts[schema.OVERVIEW],
        )
        vectors = {name: facts[name][None] for name in predictor.encoder_infos}
        asked = [predictor.genres[genre] for genre in suspect.genres]
        views = genre_views(explain_movie(predictor, movie, vectors, asked))
        self._done()
        return views
