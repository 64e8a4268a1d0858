"""Data with nothing to learn from: trained, evaluated, reported and exported all the same."""

import json
import re
import warnings

import numpy as np
import pytest

from data_prep.prepare import PrepareConfig, prepare
from mmgenre import schema
from mmgenre.decisions.decision_rule import DecisionRule
from mmgenre.evaluation import operating_points
from mmgenre.evaluation.results import NotFitted, RunEvaluation
from tests import movie_files
from tests.commands import run_module
from tests.scale_helpers import TINY

NUM_MOVIES = 120


def strict_json(text: str):
    """JSON as other programs read it, which know no NaN."""

    def refuse(name: str):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture(scope="module")
def nothing_to_learn(tmp_path_factory):
    """Movies that are all dramas, without a poster, of which no two share a word."""
    folder = tmp_path_factory.mktemp("degenerate")
    drama = str([{"id": 18, "name": "Drama"}])
    rows = [
        movie_files.row(n, genres=drama, poster_path="", overview=f"w{n}a w{n}b")
        for n in range(1, NUM_MOVIES + 1)
    ]
    metadata = movie_files.write_csv(folder / "movies_metadata.csv", rows)
    (folder / "posters").mkdir()
    return prepare(PrepareConfig(metadata, folder / "posters", folder / "data", progress="none"))


@pytest.fixture(scope="module")
def run(nothing_to_learn, tmp_path_factory):
    """The folder of a run on it, and what its command printed."""
    workdir = tmp_path_factory.mktemp("degenerate-run") / "run"
    process = run_module(
        "mmgenre.main",
        *TINY,
        f"--config.data.dir={nothing_to_learn.path}",
        f"--workdir={workdir}",
    )
    assert process.returncode == 0, process.stderr
    return workdir, process


def test_the_run_ends_well_and_says_what_could_not_be_fitted(run):
    workdir, process = run
    assert "Warning" not in process.stderr, process.stderr
    shown = " ".join(process.stdout.split())
    assert "Not fitted, no word is in two overviews of the train split: TF-IDF + LR" in shown
    assert "Not fitted, no movie of the train split has a poster: poster features + LR" in shown
    assert not re.search(r"\bnan\b", process.stdout)
    baselines = RunEvaluation.load(workdir / "evaluation-test.json").baselines
    assert baselines["tfidf_logistic_regression"] is NotFitted.NO_SHARED_WORD
    assert baselines["poster_features_logistic_regression"] is NotFitted.NO_POSTER
    assert baselines["tfidf_and_poster_features"] is NotFitted.NO_SHARED_WORD


def test_what_is_not_defined_is_null(run):
    workdir, _ = run
    for path in (*workdir.glob("*.json"), *workdir.glob("*.jsonl")):
        text = path.read_text()
        for value in [text] if path.suffix == ".json" else text.splitlines():
            strict_json(value)
    fields = strict_json((workdir / "evaluation-test.json").read_text())
    assert fields["roc_auc"]["macro"] is None and fields["roc_auc"]["weighted"] is None
    assert fields["confidence_intervals"]["roc_auc macro"] is None
    assert fields["per_genre"]["Drama"]["average_precision"] is None


def test_the_report_and_the_card_show_a_dash(run, tmp_path):
    workdir, _ = run
    page = (workdir / "report.html").read_text()
    text = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", page)
    assert not re.search(r"\bnan\b", text, re.IGNORECASE)
    assert "not fitted: no word is in two overviews of the train split" in text
    assert "<td>-</td>" in text
    process = run_module("mmgenre.export", "--run", workdir, "--out", tmp_path / "bundle")
    assert process.returncode == 0, process.stderr
    card = (tmp_path / "bundle" / "MODEL_CARD.md").read_text()
    assert "| ROC AUC, macro | - |" in card and "nan" not in card
    strict_json((tmp_path / "bundle" / "bundle.json").read_text())


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_interval_leaves_out_what_the_metric_leaves_out(share):
    """A genre that all movies have, or none, is in neither; nothing warns."""
    generator = np.random.default_rng(0)
    labels = generator.random((200, schema.NUM_GENRES)) < 0.4
    labels[:, 1:] = share
    logits = generator.normal(labels * 1.0, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = operating_points.evaluate_logits(labels, logits, DecisionRule())
    for metric in ("roc_auc", "average_precision"):
        low, high = found.confidence_intervals[f"{metric} macro"]
        assert low < getattr(found, metric).macro < high
