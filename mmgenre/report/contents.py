"""Contents of the page about one run: its figures, tables and facts."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from mmgenre import schema
from mmgenre.decisions.decision_rule import DecisionRule
from mmgenre.decisions.situations import SituationRules
from mmgenre.evaluation import metrics, split_record, tables
from mmgenre.evaluation.notable_movies import NotableMovie
from mmgenre.evaluation.results import Scores
from mmgenre.evaluation.split_record import SplitRecord
from mmgenre.evaluation.tables import MetricRow
from mmgenre.machine import environment
from mmgenre.machine.progress import phase
from mmgenre.report import figures_overall, figures_per_genre, figures_training
from mmgenre.report.run_data import RunData
from mmgenre.report.style import Figure

_CARDS = 8  # Movies that the page shows of a kind.


@dataclasses.dataclass(frozen=True)
class BranchTable:
    """The main metrics of each branch alone and of the fusion.

    Attributes:
      split: of the movies.
      movies: that have both a poster and an overview; the metrics are over these.
      names: of the columns.
      rows: a metric each.
    """

    split: str
    movies: int
    names: list[str]
    rows: list[MetricRow]


@dataclasses.dataclass(frozen=True)
class Answer:
    """A genre that a movie has or was given: what the model said, and what is so."""

    genre: str
    probability: float
    predicted: bool
    actual: bool


@dataclasses.dataclass(frozen=True)
class MovieCard:
    """A notable movie, and what was predicted for it, most probable first."""

    movie: NotableMovie
    answers: list[Answer]


def scores(data: RunData) -> Scores:
    """Returns `metrics.evaluate_probabilities` of the test split, at the thresholds in use."""
    return metrics.evaluate_probabilities(
        data.labels, data.probabilities, data.answers.thresholds, data.genres, data.test.logits
    )


def build_figures(data: RunData, report: Scores) -> dict[str, Figure]:
    """Draws every figure of the page but the baselines', by name."""
    figures = {}
    with phase("drawing the report", None, "figures") as bar:
        for figure in _figures(data, report):
            figures[figure.name] = figure
            bar.update()
    return figures


def _figures(data: RunData, report: Scores) -> Iterator[Figure]:
    drawn = data.drawn
    genres = [data.genres[g] for g in drawn]
    labels, probabilities = data.labels[:, drawn], data.probabilities[:, drawn]
    predicted = data.answers.predicted[:, drawn]
    thresholds = data.thresholds[drawn]
    splits = {"test": (labels, probabilities)}
    if data.validation is not None:
        validation = data.validation
        splits = {
            "validation": (
                validation.labels[:, drawn].astype(bool),
                data.answers_to(validation).probabilities[:, drawn],
            ),
            **splits,
        }
    train = data.dataset.splits[schema.TRAIN]
    yield from figures_training.training_curves(data.rows, data.test.step)
    yield figures_overall.common_genres(
        {data.genres[g]: train.genre_counts[g] for g in drawn}, train.num_movies
    )
    yield figures_overall.per_genre_scores({genre: report.per_genre[genre] for genre in genres})
    yield figures_per_genre.confusion_matrices(genres, labels, predicted)
    yield figures_per_genre.precision_recall(genres, labels, probabilities, predicted)
    yield figures_per_genre.roc(genres, labels, probabilities, predicted)
    yield figures_per_genre.f1_against_threshold(genres, splits, thresholds)
    yield figures_per_genre.calibration(genres, labels, probabilities)
    yield figures_overall.occur_together(genres, labels)
    yield figures_overall.confused(genres, labels, predicted)
    yield from _view_figures(data)


def _ablated(data: RunData) -> tuple[str, SplitRecord, np.ndarray] | None:
    """Returns the split that halves are withheld on, its record, and which movies have both.

    Validation, where it was stored: what leads to the next choice should not be seen on test.
    """
    for split, record in ((schema.VALIDATION, data.validation), (schema.TEST, data.test)):
        if record is not None and (both := split_record.has_both(record)).any():
            return split, record, both
    return None


def _view_figures(data: RunData) -> list[Figure]:
    found = _ablated(data)
    if found is None:
        return []
    split, record, both = found
    labels = record.labels[both].astype(bool)
    genres = [data.genres[g] for g in data.drawn]
    views = {
        name: [
            metrics.rank_genre(labels[:, g], logits[both, g]).average_precision for g in data.drawn
        ]
        for name, (logits, _) in _views(record, data.rules).items()
    }
    return [
        figures_overall.views(
            genres,
            views,
            "Both branches alone, against the fusion",
            "Average precision of each genre when the model is shown the poster alone, the "
            f"overview alone, or both; over the {split} movies that have both.",
            "branches",
        ),
        figures_overall.modality_shares(
            genres, split_record.poster_share_per_genre(record)[data.drawn]
        ),
    ]


def _views(
    record: SplitRecord, rules: SituationRules
) -> dict[str, tuple[np.ndarray, DecisionRule]]:
    """Returns logits with the half withheld, and the rule for them."""
    return {
        "poster alone": (record.poster_logits, rules.poster_alone),
        "overview alone": (record.overview_logits, rules.overview_alone),
        "both": (record.logits, rules.both),
    }


def branch_table(data: RunData) -> BranchTable | None:
    """Returns how each branch does alone; None where no movie has both halves."""
    found = _ablated(data)
    if found is None:
        return None
    split, record, both = found
    columns = {
        name: metrics.evaluate_probabilities(
            record.labels[both],
            rule.probabilities(logits[both]),
            np.asarray(rule.thresholds),
            data.genres,
            logits[both],
        )
        for name, (logits, rule) in _views(record, data.rules).items()
    }
    rows = tables.metric_table(columns.values())
    return BranchTable(split, int(both.sum()), list(columns), rows)


def movie_cards(data: RunData, movies: list[NotableMovie]) -> list[MovieCard]:
    """Returns the first of some notable movies, with what was predicted for them."""
    return [MovieCard(movie, _answers(data, movie)) for movie in movies[:_CARDS]]


def _answers(data: RunData, movie: NotableMovie) -> list[Answer]:
    probabilities = data.probabilities[movie.record]
    predicted = data.rules.of(
        has_poster=bool(data.test.has_poster[movie.record]),
        has_overview=bool(data.test.num_tokens[movie.record]),
    ).genres(probabilities)
    probability = dict(zip(data.genres, probabilities, strict=True))
    answers = [
        Answer(
            genre,
            float(probability[genre]),
            predicted=genre in predicted,
            actual=genre in movie.genres,
        )
        for genre in {*movie.genres, *predicted}
    ]
    return sorted(answers, key=lambda answer: (-answer.probability, answer.genre))


def foreign_data_note(data: RunData) -> str | None:
    """Says so where the figures are of other data than the run's: older programs mixed them up."""
    if data.test.fingerprint == data.dataset.fingerprint:
        return None
    return (
        f"These figures are of another data set ({data.test.dataset_name}) than the run was "
        f"trained on ({data.dataset.name}): an evaluation wrote them over its own. "
        "Evaluate the run on its own data to have those again."
    )


def facts(data: RunData) -> list[tuple[str, str]]:
    """Returns what the run is made of, as (name, value) for readers."""
    splits = ", ".join(f"{s.num_movies:,} {name}" for name, s in data.dataset.splits.items())
    rows = [
        ("Data set", f"{data.dataset.name}: {splits}"),
        ("Data fingerprint", data.dataset.fingerprint[:16]),
        ("Vocabulary", f"{data.dataset.vocabulary_size:,} words"),
        ("Evaluated on", f"{data.test.dataset_name}, {len(data.test.labels):,} test movies"),
        ("Checkpoint", f"step {data.test.step:,}"),
        ("Thresholds", data.rules.chosen_on or "0.5 for every genre (none were fitted)"),
        ("Seed", str(data.config.seed)),
    ]
    if data.sessions:
        seconds = sum(session["seconds"] or 0 for session in data.sessions)
        cut = sum(session["seconds"] is None for session in data.sessions)
        last = data.sessions[-1]
        more = f" in {len(data.sessions)} sessions" if len(data.sessions) > 1 else ""
        rows += [
            ("Trained", f"{data.sessions[0]['started']}, {environment.duration(seconds)}{more}"),
            ("Hardware", _hardware(last["hardware"])),
            ("Versions", ", ".join(f"{n} {v}" for n, v in last["versions"].items())),
        ]
        if cut:
            rows.append(("Interrupted", f"{cut} sessions were cut off and count no time"))
    name = "train/movies_per_second"
    speeds = [row[name] for row in data.rows if name in row]
    if speeds:
        rows.append(("Speed", f"{np.median(speeds):,.0f} movies a second in training (median)"))
    return rows


def _hardware(fields: dict[str, Any]) -> str:
    devices = ", ".join(f"{count} x {kind}" for kind, count in fields["devices"].items())
    memory = f", {fields['memory_gib']:g} GiB" if fields.get("memory_gib") else ""
    return f"{devices}; {fields['cpu']}, {fields['cores']} cores{memory}; {fields['system']}"
