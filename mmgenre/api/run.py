"""`mmgenre.load_run`: a finished run, to evaluate and to ask."""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, overload

from absl import logging as absl_logging

from mmgenre import schema
from mmgenre.api import child_command
from mmgenre.api.prepared_data import PreparedData, StrPath
from mmgenre.api.shown_evaluation import ShownEvaluation
from mmgenre.catalogue.data_frame import as_catalogue
from mmgenre.config import Config
from mmgenre.dataset.prepared import open_dataset
from mmgenre.errors import UserError
from mmgenre.evaluation import result_files
from mmgenre.machine import files, logs
from mmgenre.runs.directory import RunDirectory

if TYPE_CHECKING:
    from mmgenre.prediction.movie import Poster
    from mmgenre.prediction.predictor import GenrePredictor, Prediction

_PREALLOCATE = "XLA_PYTHON_CLIENT_PREALLOCATE"


class Run:
    """A trained run; made by `mmgenre.train`, or by `mmgenre.load_run` from its folder.

    Attributes:
      path: the run's folder; of one on an object store, its copy on this machine.
      config: its settings.
      genres: their names, in the order of the labels.
      data_name: the name of the data set that it is trained on.
    """

    def __init__(self, directory: RunDirectory):
        """Reads what the folder says of itself; see `load`."""
        info, self._data_path = directory.load_dataset_info()
        self.path = Path(directory.path)
        self.config: Config = directory.load_config()
        self.genres = info.genres
        self.data_name = info.name
        self._place = directory.address or str(directory.path)
        self._predictor: GenrePredictor | None = None

    @classmethod
    def load(cls, path: StrPath) -> Self:
        """Opens the folder of a run; raises UserError where it is none, or damaged."""
        return cls(RunDirectory.open(path))

    def __repr__(self) -> str:
        return (
            f"Run({self._place!r}: config {self.config.name!r}, trained on {self.data_name!r}, "
            f"{len(self.genres)} genres)"
        )

    def evaluate(
        self,
        data: PreparedData | StrPath | None = None,
        *,
        split: str = schema.TEST,
        quiet: bool = False,
    ) -> ShownEvaluation:
        """Evaluates the best checkpoint, as `python -m mmgenre.evaluate` does.

        In a process of its own; the evaluation is kept in the run's folder, too.

        Args:
          data: a prepared data set; None for the one that the run is trained on.
          split: "train", "validation" or "test".
          quiet: whether to print nothing.

        Returns:
          A `mmgenre.evaluation.results.RunEvaluation`, which a notebook shows as a table.

        Raises:
          UserError: the data set is not there or does not fit, or a file cannot be written.
        """
        folder = self._data_path if data is None else data
        folder = os.fspath(folder.path if isinstance(folder, PreparedData) else folder)
        if split not in schema.SPLITS:
            raise UserError(f"split is {split!r}; choose from {', '.join(schema.SPLITS)}")
        arguments = ["--run", self._place, "--data", folder, "--split", split]
        shown: child_command.Shown = "nothing" if quiet else "progress"
        child_command.run("mmgenre.evaluate", arguments, shown=shown)
        directory = RunDirectory.open(self._place)  # Anew: of an object store it is a copy.
        written = result_files.of_data(directory, split, open_dataset(folder).info)
        return ShownEvaluation.load(written.evaluation)

    @overload
    def predict(
        self,
        movies: None = None,
        *,
        overview: str | None = None,
        poster: "Poster | None" = None,
        top: int | None = None,
    ) -> "Prediction": ...

    @overload
    def predict(
        self,
        movies: None = None,
        *,
        overview: Sequence[str | None] | None = None,
        poster: "Sequence[Poster | None] | None" = None,
        top: int | None = None,
    ) -> "list[Prediction]": ...

    @overload
    def predict(
        self,
        movies: Any,
        *,
        posters: StrPath | None = None,
        columns: dict[str, str] | None = None,
        top: int | None = None,
    ) -> Any: ...

    def predict(
        self,
        movies: Any = None,
        *,
        overview: Any = None,
        poster: Any = None,
        posters: StrPath | None = None,
        columns: dict[str, str] | None = None,
        top: int | None = None,
    ) -> Any:
        """Predicts the genres of a movie, of several, or of the rows of a DataFrame.

        In this process, by JAX; the model is loaded at the first call.

        Args:
          movies: a pandas DataFrame; columns are found by their usual names.
          overview: the text, or a list of texts; None for none.
          poster: a path, an address, bytes, an image of Pillow or pixels <uint8>[64, 64, 3], or a
            list of these; None for none.
          posters: with a DataFrame: a folder of posters, or the address of an image server.
          columns: with a DataFrame: those that have no usual name, such as {"overview": "plot"}.
          top: number of most probable genres to predict; None for those above their thresholds.

        Returns:
          A `Prediction` for one movie, a list of them for lists. For a DataFrame another one, of
          the same index: `genres`, the probability of each genre, `has_poster`, `has_overview`,
          `words`, `unknown_words` and `note`, which says why a row could not be answered.

        Raises:
          UserError: there is neither overview nor poster, one cannot be read, lists differ in
            length, the DataFrame has no column for them, or the run has no checkpoint.
        """
        if top is not None and top < 1:
            raise UserError(f"top is {top}; it must be at least 1")
        if movies is not None:
            return self._predict_frame(movies, posters, columns, top)
        if posters is not None or columns is not None:
            raise UserError("posters and columns belong to a DataFrame; give poster=... for one")
        if isinstance(overview, list | tuple) or isinstance(poster, list | tuple):
            found = self._loaded().predict(posters=poster, overviews=overview)
            return [each.with_top(top) for each in found]
        (one,) = self._loaded().predict(posters=[poster], overviews=[overview])
        return one.with_top(top)

    def explain(
        self, out: StrPath, *, overview: str | None = None, poster: "Poster | None" = None
    ) -> Path:
        """Writes a page that shows which words and regions decided, into a new file.

        Raises:
          UserError: as `predict`, or the file exists or cannot be written.
        """
        from mmgenre.prediction.explanation import write_explanation

        page = Path(out)
        files.require_new(page)
        write_explanation(self._loaded(), page, poster=poster, overview=overview)
        return page

    def _loaded(self) -> "GenrePredictor":
        if self._predictor is None:
            with _sharing_gpus(), _quiet_libraries():
                from mmgenre.prediction.predictor import GenrePredictor

                self._predictor = GenrePredictor.load(self._place)
        return self._predictor

    def _predict_frame(
        self, frame: Any, posters: StrPath | None, columns: dict[str, str] | None, top: int | None
    ) -> Any:
        choices = "a pandas DataFrame, or overview=... and poster=..."
        with as_catalogue(frame, choices=choices) as path:
            rows = list(self._answers(path, posters, columns, top))
        import pandas  # The caller has it.

        return pandas.DataFrame(rows, index=frame.index)

    def _answers(
        self,
        catalogue: Path,
        posters: StrPath | None,
        columns: dict[str, str] | None,
        top: int | None,
    ) -> Iterator[dict[str, Any]]:
        from mmgenre.prediction import answers, predictions_table
        from mmgenre.prediction.table_request import TableRequest, open_questions

        given = ",".join(f"{role}={name}" for role, name in (columns or {}).items())
        request = TableRequest(
            run=self._place,
            catalogue=catalogue,
            posters=None if posters is None else os.fspath(posters),
            columns=given or None,
            top=top,
        )
        predictor = self._loaded()
        with (
            open_questions(request) as questions,
            answers.Answerer(predictor, request, copied=()) as answerer,
        ):
            for chunk in answers.chunks(questions):
                for record in answerer.answer(chunk):
                    yield predictions_table.flat(record, predictor.genres)


def load_run(path: StrPath) -> Run:
    """Opens a run's folder, such as "runs/model2"; raises UserError where it is none."""
    return Run.load(path)


@contextlib.contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Within it libraries report errors only; what the caller has chosen comes back."""
    before = absl_logging.get_verbosity()
    logs.quiet_libraries()
    try:
        yield
    finally:
        absl_logging.set_verbosity(before)


@contextlib.contextmanager
def _sharing_gpus() -> Iterator[None]:
    """JAX, where it starts within, leaves memory of GPUs to trainings that are started later."""
    if "jax" in sys.modules or _PREALLOCATE in os.environ:
        yield
        return
    os.environ[_PREALLOCATE] = "false"
    try:
        yield
    finally:
        del os.environ[_PREALLOCATE]
