"""Whether a review finds labels that are wrong, and what it is worth to mend them.

    python -m benchmarks.review --metadata movies_metadata.csv --posters posters --out /tmp/review \
        [--config configs/model2.py] [--folds 5] [--seed 0] [--share 0.05] [--train-seeds 3]
        [--mend 300] [--config.<setting>=<value> ...]

Prepares the catalogue, changes labels of the train and validation splits at random (half of the
changes take a label away, half add one), prepares it again with these labels, and reviews it with
the real command. Then it reports how many of the changed labels are among the first 100, and the
average precision of finding them: by the review, by TF-IDF and logistic regression on the same
folds, calibrated and ranked alike, and by chance. At last it trains the config with all labels,
and without the given labels that look most wrong (--mend), and evaluates both on the test split,
which was neither changed nor reviewed. What is done is not done again.
"""

import argparse
import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import review_changes
from benchmarks.machine import describe_machine
from mmgenre import schema
from mmgenre.config import Config
from mmgenre.dataset.prepared import PreparedDataset
from mmgenre.machine import compilation_cache, cpu, logs
from mmgenre.review import ranking
from mmgenre.review.folds import Folds, make_folds
from mmgenre.review.ranking import Suspicions

_METRICS = ("f1/micro", "f1/macro", "roc_auc/macro", "average_precision/macro")


def parse_args() -> tuple[argparse.Namespace, list[str]]:
    """Reads the command line; what it does not know goes to the commands that train."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.review",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--metadata", type=Path, required=True, help="catalogue of movies")
    parser.add_argument("--posters", type=Path, help="folder of posters")
    parser.add_argument("--out", type=Path, required=True, help="folder for all that is made")
    parser.add_argument("--config", default="configs/model2.py", help="file, or file:variant")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0, help="of the changes")
    parser.add_argument("--share", type=float, default=0.05, help="of the given labels")
    parser.add_argument("--train-seeds", type=int, default=3, help="trainings with each labels")
    parser.add_argument("--mend", type=int, default=300, help="given labels to train without")
    parser.add_argument("--json", type=Path, help="write the results here, too")
    return parser.parse_known_args()


def main() -> None:
    """Measures, and prints tables."""
    args, settings = parse_args()
    logs.log_to_stderr()
    args.out.mkdir(parents=True, exist_ok=True)
    clean = review_changes.prepare(args.metadata, args.posters, args.out / "clean")
    ids, before = review_changes.read_labels(clean)
    after = review_changes.draw(before, args.share, args.seed)
    listed = review_changes.changes(ids, before, after, clean.info.genres)
    review_changes.write_table(args.out / "changes.csv", listed)
    data = review_changes.prepare(
        args.metadata, args.posters, args.out / "data", args.out / "changes.csv"
    )
    found = review(args, settings, data)
    results: dict[str, Any] = {"machine": describe_machine(), "changed": len(listed)}
    results["finding"] = report_finding(before, after, found, args.out)
    if args.train_seeds:
        results["training"] = report_training(args, settings, clean, data, listed, found)
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n")


def review(
    args: argparse.Namespace, settings: list[str], data: PreparedDataset
) -> tuple[Folds, np.ndarray]:
    """Runs the real command; returns its folds and the calibrated logits of all movies."""
    command = [sys.executable, "-m", "mmgenre.review", "--config", args.config, *settings]
    command += ["--data", str(data.path), "--folds", str(args.folds), "--explain", "0"]
    command += ["--splits", *review_changes.REVIEWED, "--out", str(args.out / "review")]
    subprocess.run(command, check=True)
    return read_review(args.out / "review", data)


def read_review(out: Path, data: PreparedDataset) -> tuple[Folds, np.ndarray]:
    """Returns a review's folds and calibrated logits; NaN for folds that are not done."""
    from etils import epath

    from mmgenre.review.judge import Answers
    from mmgenre.review.reasons import run_folder
    from mmgenre.runs.directory import RunDirectory

    said = json.loads((out / "review.json").read_text())
    seed = RunDirectory(run_folder(epath.Path(out), 0)).load_config().seed
    folds = make_folds(data, said["splits"], said["folds"], seed)
    logits = np.full(folds.labels.shape, np.nan, np.float32)
    for fold in range(folds.num_folds):
        view = folds.view(fold)
        answers = Answers.load(RunDirectory(run_folder(epath.Path(out), fold)), view)
        if answers is not None:
            logits[view.numbers[schema.TEST]] = answers.logits
    return folds, logits


def tfidf_logits(folds: Folds) -> np.ndarray:
    """Returns what TF-IDF and logistic regression say, on the same folds, calibrated alike."""
    from mmgenre.dataset.read_split import read_split
    from mmgenre.decisions.calibration import fit_decision_rule
    from mmgenre.evaluation.baseline_models import Movies, TfidfModel

    logits = np.zeros(folds.labels.shape)
    for fold in range(folds.num_folds):
        view = folds.view(fold)
        movies = {}
        for split in schema.SPLITS:
            read = read_split(view, split, schema.OVERVIEW, schema.LABELS)
            none = np.zeros(len(read[schema.LABELS]), bool)
            movies[split] = Movies(read[schema.OVERVIEW], none, none, read[schema.LABELS])
        model = TfidfModel(movies[schema.TRAIN])
        validation = movies[schema.VALIDATION]
        rule = fit_decision_rule(
            model.logits(validation), validation.labels, schema.VALIDATION, view.info.genres
        )
        logits[view.numbers[schema.TEST]] = rule.calibrated(model.logits(movies[schema.TEST]))
    return logits


def report_finding(
    before: np.ndarray, after: np.ndarray, found: tuple[Folds, np.ndarray], out: Path
) -> dict[str, dict[str, float]]:
    """Prints and returns how well each finds the changed labels, of the movies that are judged."""
    folds, logits = found
    judged = np.isfinite(logits).all(axis=1)
    kept = out / "tfidf.npy"
    tfidf = np.load(kept) if kept.exists() else tfidf_logits(folds)
    np.save(kept, tfidf)
    is_changed = (before != after)[judged]
    given = after[judged].astype(bool)
    print(
        f"\n{judged.sum():,} movies judged, {is_changed.sum():,} labels changed: "
        f"{(is_changed & given).sum():,} added, {(is_changed & ~given).sum():,} taken away\n"
        f"{'':28s} precision at 100    AP   AP of added   of taken"
    )
    results = {}
    for name, scores in (
        ("review", ranking.suspicion(after, logits)[judged]),
        ("TF-IDF + LR", ranking.suspicion(after, tfidf)[judged]),
        ("chance", None),
    ):
        results[name] = finding(is_changed, given, scores)
        row = results[name]
        print(
            f"{name:28s} {row['precision_at_100']:16.3f} {row['ap']:6.3f} "
            f"{row['ap_added']:11.3f} {row['ap_taken']:10.3f}"
        )
    return results


def finding(
    is_changed: np.ndarray, given: np.ndarray, scores: np.ndarray | None
) -> dict[str, float]:
    """Returns precision at 100 and average precisions of scores [movies, genres]; None: chance."""
    from sklearn.metrics import average_precision_score

    if scores is None:
        return {
            "precision_at_100": float(is_changed.mean()),
            "ap": float(is_changed.mean()),
            "ap_added": float(is_changed[given].mean()),
            "ap_taken": float(is_changed[~given].mean()),
        }
    first = np.argsort(-scores, axis=None, kind="stable")[:100]
    return {
        "precision_at_100": float(is_changed.ravel()[first].mean()),
        "ap": float(average_precision_score(is_changed.ravel(), scores.ravel())),
        "ap_added": float(average_precision_score(is_changed[given], scores[given])),
        "ap_taken": float(average_precision_score(is_changed[~given], scores[~given])),
    }


def mended(
    listed: list[review_changes.Change], ids: np.ndarray, first: Suspicions, genres: Any
) -> list[review_changes.Change]:
    """Returns the changes, and behind them the first labels of a review, turned round.

    But for a movie's only genre, which preparation would not do without.
    """
    turned = [
        (ids[movie], genres[genre], review_changes.GIVEN if given else review_changes.MISSING)
        for movie, genre, given in zip(first.movies, first.genres, first.given, strict=True)
    ]
    return [*listed, *turned]


def report_training(
    args: argparse.Namespace,
    settings: list[str],
    clean: PreparedDataset,
    data: PreparedDataset,
    listed: list[review_changes.Change],
    found: tuple[Folds, np.ndarray],
) -> dict[str, dict[str, list[float]]]:
    """Trains with all labels and without suspicious ones; returns scores on the test split."""
    from mmgenre import main as training

    parsed = training.parse_command_line([sys.argv[0], "--config", args.config, *settings])
    assert parsed is not None, "argparse has answered --help"
    config, folds, logits = parsed[0], *found
    compilation_cache.enable()
    cpu.use_all_cores(config.batch_size)
    ids, _ = review_changes.read_labels(data)
    labels = folds.labels.copy()
    suspicions = ranking.rank(labels, np.where(np.isfinite(logits), logits, 0))
    given = {name: values[suspicions.given] for name, values in vars(suspicions).items()}
    first = Suspicions(**given).first(args.mend)
    # A movie keeps at least one genre.
    labels[first.movies, first.genres] ^= 1
    keeps = labels[first.movies].any(axis=1)
    first = Suspicions(**{name: values[keeps] for name, values in vars(first).items()})
    table = args.out / "mended.csv"
    review_changes.write_table(table, mended(listed, ids, first, data.info.genres))
    again = review_changes.prepare(args.metadata, args.posters, args.out / "mended", table)
    results: dict[str, dict[str, list[float]]] = {}
    print(f"\n{'on the test split':24s}" + "".join(f"{metric:>26s}" for metric in _METRICS))
    for name, dataset in (("all labels", data), (f"without {len(first)} of them", again)):
        scores = [
            train(
                dataclasses.replace(config, seed=seed),
                dataset,
                clean,
                args.out / f"{dataset.path.name}-{seed}",
            )
            for seed in range(args.train_seeds)
        ]
        results[name] = {metric: [score[metric] for score in scores] for metric in _METRICS}
        cells = (
            f"{np.mean(values):14.4f} ± {np.std(values, ddof=1) if len(values) > 1 else 0:.4f}"
            for values in results[name].values()
        )
        print(f"{name:24s}" + "".join(f"{cell:>26s}" for cell in cells), flush=True)
    return results


def train(
    config: Config, dataset: PreparedDataset, clean: PreparedDataset, workdir: Path
) -> dict[str, float]:
    """Trains by the real trainer, and evaluates on the test split of the clean data set."""
    scores = workdir.with_suffix(".json")
    if scores.exists():
        return json.loads(scores.read_text())
    from etils import epath

    from mmgenre.evaluation.metrics import evaluate_probabilities
    from mmgenre.review import judge
    from mmgenre.runs.directory import RunDirectory
    from mmgenre.training.trainer import Trainer

    run = RunDirectory.start(epath.Path(workdir), config, dataset)
    Trainer(config, dataset, run).train()
    labels, answers = judge.answer_test_split(run, dataset, clean)
    of_micro, of_macro = (
        evaluate_probabilities(
            labels, answers.probabilities, thresholds, clean.info.genres, answers.logits
        )
        for thresholds in (answers.micro_thresholds, answers.thresholds)
    )
    found = {
        "f1/micro": of_micro.f1.micro,
        "f1/macro": of_macro.f1.macro,
        "roc_auc/macro": of_macro.roc_auc.macro,
        "average_precision/macro": of_macro.average_precision.macro,
    }
    scores.write_text(json.dumps(found))
    return json.loads(scores.read_text())


if __name__ == "__main__":
    main()
