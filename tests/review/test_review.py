"""The review: folds, ranking, the real command, and that it finds labels that are wrong."""

import csv
import dataclasses
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from benchmarks import review_changes
from mmgenre import schema
from mmgenre.dataset.read_split import read_split
from mmgenre.inputs import overview_text
from mmgenre.review import page, ranking, table
from mmgenre.review.folds import deal, make_folds
from tests.commands import run_module, run_several
from tests.scale_helpers import TINY, ended, finish, start, wait_for_step

FEW = ("--config.batch_size=16", "--folds", "2", "--explain", "1", "--rows", "50")


def read_table(out: Path) -> list[dict[str, str]]:
    with (out / "labels.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_no_group_is_in_two_parts_and_the_parts_are_of_one_size():
    groups = np.random.default_rng(0).zipf(1.7, 3_000) % 900
    parts = deal(groups, 5, seed=1)
    for group in np.unique(groups):
        assert len(np.unique(parts[groups == group])) == 1
    sizes = np.bincount(parts, minlength=5)
    assert sizes.max() - sizes.min() <= 1 or sizes.max() == np.bincount(groups).max()
    assert (deal(groups, 5, seed=2) != parts).any()


def test_folds_are_views_that_share_no_movie(tiny_dataset):
    folds = make_folds(tiny_dataset, tuple(tiny_dataset.info.splits), 3, seed=0)
    names = (schema.ID, schema.OVERVIEW, schema.LABELS, schema.POSTER)
    whole = [read_split(tiny_dataset, split, *names) for split in tiny_dataset.info.splits]
    whole = {name: np.concatenate([part[name] for part in whole]) for name in names}
    assert len(np.unique(folds.groups)) < len(folds.groups), "the corpus has copies"
    judged = []
    for fold in range(3):
        view = folds.view(fold)
        overviews = {}
        for split, numbers in view.numbers.items():
            found = read_split(view, split, *names)
            for name in names:
                assert (found[name] == whole[name][numbers]).all()
            assert view.split(split).genre_counts == tuple(found[schema.LABELS].sum(axis=0))
            overviews[split] = set(map(overview_text.normalise, found[schema.OVERVIEW])) - {""}
        for one, other in (("train", "test"), ("train", "validation"), ("validation", "test")):
            assert not overviews[one] & overviews[other]
            assert not set(folds.groups[view.numbers[one]]) & set(folds.groups[view.numbers[other]])
        judged += view.numbers[schema.TEST].tolist()
    assert sorted(judged) == list(range(len(folds.labels)))
    assert len({folds.view(fold).info.fingerprint for fold in range(3)}) == 3


def test_the_clearest_contradiction_comes_first():
    labels = np.array([[1, 0], [1, 0], [0, 1]], np.uint8)
    logits = np.array([[-4.0, -1.0], [3.0, 5.0], [0.5, 2.0]])
    found = ranking.rank(labels, logits)
    order = [(1, 1, False), (0, 0, True), (2, 0, False), (0, 1, False), (2, 1, True), (1, 0, True)]
    assert list(zip(found.movies, found.genres, found.given, strict=True)) == order
    assert found.probabilities[0] == pytest.approx(1 / (1 + np.exp(-5)))
    first = found.first(3)
    assert table.suggested_labels(first, labels).tolist() == [[0, 0], [1, 1], [1, 1]]
    suspect = page.suspects(first)[1]
    assert (suspect.movie, suspect.wrong, suspect.missing, suspect.rank) == (0, (0,), (), 2)


MISTAKES = [
    ([], "no data set; add --data <folder of a prepared data set>"),
    (["--data", "nowhere", "--folds", "1"], "--folds is 1; it must be at least 2"),
    (["--data", "nowhere", "--workdir", "x"], "a review has no --workdir; give the folder with"),
    (["--data", "nowhere", "--config", "model9"], "model9"),
    (["--data", "nowhere", "--config", "model1"], "nowhere is not a prepared data set"),
    (["--data", "nowhere", "--config", "model1", "--out", "s3://a/b"], "must be on a file system"),
]


def test_each_mistake_is_one_line(tiny_dataset):
    found = run_several("mmgenre.review", [words for words, _ in MISTAKES])
    for (_, message), (code, _, errors) in zip(MISTAKES, found, strict=True):
        assert (code, errors.count("\n")) == (2, 1) and message in errors, errors


def test_the_command_writes_a_table_and_a_page_and_goes_on_where_it_was(tiny_dataset, tmp_path):
    out = tmp_path / "review"
    arguments = [*TINY, *FEW, "--config.epochs=1", "--data", tiny_dataset.path, "--out", out]
    process = run_module("mmgenre.review", *arguments)
    assert process.returncode == 0, process.stderr
    assert "0 folds done before" in process.stderr and "left" in process.stderr
    rows = read_table(out)
    assert [int(row["rank"]) for row in rows] == list(range(1, 51))
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    labels = {split: read_split(tiny_dataset, split, "id", "labels") for split in schema.SPLITS}
    for row in rows:
        found, record = labels[row["split"]], int(row["record"])
        given = set(np.array(schema.GENRES)[found["labels"][record].astype(bool)])
        assert row["id"] == found["id"][record] and set(row["given_genres"].split("|")) == given
        assert (row["genre"] in given) == (row["kind"] == "given") and row["accept"] == ""
        assert row["genre"] in set(row["suggested_genres"].split("|")) ^ given
    html = (out / "review.html").read_text()
    assert html.count('class="card suspect"') == len({row["id"] for row in rows})
    assert html.count('class="card why"') >= 1 and "http:" not in html
    (out / "labels.csv").unlink()
    process, other = (
        run_module("mmgenre.review", *arguments[:-1], where) for where in (out, tiny_dataset.path)
    )
    assert process.returncode == 0 and "2 folds done before" in process.stderr, process.stderr
    assert "epoch 1/1" not in process.stderr and read_table(out) == rows
    assert other.returncode == 2 and "is a prepared data set, not a review" in other.stderr
    others = ["--config.seed=1"], ["--folds=3"], ["--splits", "train", "test"]
    for words, name in zip(others, ("seed", "folds", "splits"), strict=True):
        process = run_module("mmgenre.review", *arguments, *words)
        assert process.returncode == 2 and "choose another --out" in process.stderr
        assert name in process.stderr


@pytest.mark.slow
def test_killed_and_run_again_it_ends_like_an_undisturbed_one(tiny_dataset, tmp_path):
    often = ("--config.epochs=3", "--config.checkpoint_every_steps=1")
    arguments = [*TINY, *FEW, *often, "--data", tiny_dataset.path, "--out"]
    undisturbed = run_module("mmgenre.review", *arguments, tmp_path / "a")
    assert undisturbed.returncode == 0, undisturbed.stderr
    for fold in (1, 2):
        process = start("mmgenre.review", *arguments, tmp_path / "b")
        with ended(process):
            wait_for_step(tmp_path / "b" / f"fold-{fold}", 4, process)
            os.kill(process.pid, signal.SIGKILL)
    process = start("mmgenre.review", *arguments, tmp_path / "b")
    code, said = finish(process)
    assert code == 0 and "1 folds done before" in said and "resuming from the checkpoint" in said
    for name in ("labels.csv", "review.html"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.slow
def test_it_finds_labels_that_were_changed(tmp_path):
    from data_prep.demo.corpus import write_demo_corpus

    write_demo_corpus(tmp_path / "corpus", num_movies=700, seed=3)
    files = tmp_path / "corpus" / "movies_metadata.csv", tmp_path / "corpus" / "posters"
    clean = review_changes.prepare(*files, tmp_path / "clean")
    ids, before = review_changes.read_labels(clean)
    after = review_changes.draw(before, 0.05, seed=7)
    changed = review_changes.changes(ids, before, after, clean.info.genres)
    review_changes.write_table(tmp_path / "changes.csv", changed)
    review_changes.prepare(*files, tmp_path / "data", tmp_path / "changes.csv")
    arguments = ["--data", tmp_path / "data", "--out", tmp_path / "review", "--explain", "0"]
    few = ["--config=model2", "--config.epochs=6", "--config.batch_size=32", "--folds", "3"]
    splits = ["--splits", *review_changes.REVIEWED, "--rows", str(before.size)]
    process = run_module("mmgenre.review", *few, *arguments, *splits, optimized=True, timeout=1800)
    assert process.returncode == 0, process.stderr
    rows = read_table(tmp_path / "review")
    truth = [
        (r["id"], r["genre"], "missing" if r["kind"] == "given" else "given") in changed
        for r in rows
    ]  # What was added looks wrong, what was taken looks missing.
    chance = len(changed) / before.size
    assert sum(truth) == len(changed)
    assert average_precision_score(truth, [-int(row["rank"]) for row in rows]) > 5 * chance
    assert np.mean(truth[:50]) > 10 * chance


def test_changes_are_as_many_as_said():
    labels = (np.random.default_rng(0).random((400, 18)) < 0.12).astype(np.uint8)
    labels[:, 0] |= labels.sum(axis=1) == 0
    after = review_changes.draw(labels, 0.05, seed=1)
    count = round(0.05 * labels.sum())
    assert (labels > after).sum() == count // 2 and (after > labels).sum() == count - count // 2
    assert after.any(axis=1).all()
    ids = np.arange(400).astype(str)
    listed = review_changes.changes(ids, labels, after, schema.GENRES)
    assert dataclasses.is_dataclass(ranking.Suspicions) and len(set(listed)) == count
