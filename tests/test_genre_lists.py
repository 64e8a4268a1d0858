"""Lists of genres other than the specification's: everything behind a data set follows its list."""

import csv
import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from etils import epath

from data_prep.prepare import PrepareConfig, prepare
from data_prep.verify import verify
from mmgenre import schema
from mmgenre.config import Config, DataConfig
from mmgenre.dataset.prepared import genre_difference, open_dataset
from mmgenre.errors import UserError
from mmgenre.evaluation.results import RunEvaluation
from mmgenre.evaluation.split_record import SplitRecord
from mmgenre.runs.directory import RunDirectory
from tests import movie_files
from tests.commands import ROOT, run_module, run_several
from tests.conftest import TINY_MODEL

GENRES = ("Drama", "Kids = Children, Family", "note", "科幻", "Film-Noir")
"""A name that is also a column of the table of predictions, and one that our font lacks."""

NAMES = ("Drama", "Kids", "note", "科幻", "Film-Noir")
CELLS = ("drama", "Family", "note", "科幻", "Noir")
"""What the catalogue calls them; of these "Noir" is a usual alias."""


def write_catalogue(path: Path, num_movies: int, cells=CELLS) -> Path:
    """Movies of one or two genres, each with a word for each of them."""
    generator = np.random.default_rng(0)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "title", "overview", "genres"])
        for number in range(num_movies):
            chosen = generator.choice(len(cells), size=2, replace=False)
            words = " ".join(f"sign{g} of" for g in chosen)
            named = [cells[g] for g in chosen] + (["Podcast"] if number % 3 == 0 else [])
            writer.writerow([number, f"Movie {number}", f"{words} n{number}", "|".join(named)])
    return path


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("genres")
    genres = folder / "list.txt"
    genres.write_text("# Ours.\n\n" + "\n".join(GENRES) + "\n", "utf-8")
    metadata = write_catalogue(folder / "movies.csv", 150)
    return prepare(PrepareConfig(metadata, None, folder / "data", genres=genres, progress="none"))


@pytest.fixture(scope="module")
def run(dataset, tmp_path_factory):
    """A run of Model 1 in little on it, evaluated and reported on."""
    return train(dataset, tmp_path_factory.mktemp("genre-runs") / "run")


def train(dataset, workdir: Path) -> RunDirectory:
    from mmgenre.training.trainer import train_and_evaluate

    data = DataConfig(dir=str(dataset.path), max_tokens=32, bucket_lengths=(32,))
    config = Config(name="genres", batch_size=16, epochs=2, data=data, model=TINY_MODEL)
    run = RunDirectory.start(workdir, config, dataset)
    train_and_evaluate(config, dataset, run)
    return run


def test_the_list_is_written_into_the_data_set(dataset):
    assert dataset.info.genres == NAMES
    assert verify(dataset.path) == []
    audit = json.loads((dataset.path / "audit.json").read_text("utf-8"))
    assert audit["rows"]["kept"] == 150
    assert audit["rows"]["unlisted_genres"] == {"Podcast": 50}
    assert sum(audit["genres"].values()) == 300
    assert (dataset.path / "genres.txt").read_text("utf-8").splitlines() == list(GENRES)


def test_the_written_list_prepares_another_data_set_alike(dataset, tmp_path):
    genres = dataset.path / "genres.txt"
    metadata = write_catalogue(tmp_path / "other.csv", 150)
    other = prepare(PrepareConfig(metadata, None, tmp_path / "out", genres=genres, progress="none"))
    assert other.info.fingerprint == dataset.info.fingerprint


def test_another_list_of_as_many_names_is_another_data_set(dataset, tmp_path):
    genres = tmp_path / "list.txt"
    genres.write_text("\n".join(GENRES).replace("note", "notes = note"), "utf-8")
    metadata = write_catalogue(tmp_path / "other.csv", 150)
    other = prepare(PrepareConfig(metadata, None, tmp_path / "out", genres=genres, progress="none"))
    assert other.info.fingerprint != dataset.info.fingerprint


def test_evaluation_report_and_tensorboard_follow_it(run):
    evaluation = RunEvaluation.load(run.evaluation_file(schema.TEST))
    assert tuple(evaluation.per_genre) == NAMES
    record = SplitRecord.load(run.path / "predictions-test.npz")
    assert record.labels.shape == record.logits.shape == (len(record.ids), 5)
    rule = json.loads((run.path / "thresholds.json").read_text("utf-8"))
    assert [tuple(rule[name]) for name in ("both", "poster_alone", "overview_alone")] == [NAMES] * 3
    report = run_module("mmgenre.report", "--run", run.path)
    assert report.returncode == 0 and "Glyph" not in report.stderr, report.stderr
    page = (run.path / "report.html").read_text("utf-8")
    for name in NAMES:
        assert f"<td>{name}</td>" in page
    assert "Western" not in page


def test_prediction_export_and_explanation_follow_it(run, tmp_path):
    from mmgenre.prediction import bundle, bundle_export, explanation, table
    from mmgenre.prediction.predictor import GenrePredictor
    from mmgenre.prediction.table_request import TableRequest

    predictor = GenrePredictor.load(run.path)
    (answer,) = predictor.predict(overviews=["sign0 of sign3"])
    assert tuple(answer.probabilities) == NAMES == tuple(answer.thresholds)
    why = explanation.explain(predictor, None, "sign0 of sign3")
    assert {genre.genre for genre in why.genres} <= set(NAMES)

    movies = write_catalogue(tmp_path / "ask.csv", 3)
    for suffix in ("csv", "jsonl", "parquet"):
        out = tmp_path / f"answers.{suffix}"
        table.predict_table(TableRequest(str(run.path), movies), out)
    with (tmp_path / "answers.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header[-5:] == ["Drama", "Kids", "genre note", "科幻", "Film-Noir"] and len(rows) == 3

    bundle_export.export_run(str(run.path), tmp_path / "bundle")
    opened = bundle.Bundle.open(tmp_path / "bundle")
    pixels = np.zeros((1, *schema.POSTER_SHAPE), np.uint8)
    found = opened.probabilities(pixels, [predictor.encode("sign0 of sign3")])
    np.testing.assert_allclose(found[0], list(answer.probabilities.values()), atol=1e-5)
    assert "each of 5 genres" in (tmp_path / "bundle" / "MODEL_CARD.md").read_text("utf-8")


def test_a_run_and_a_data_set_of_different_lists_are_told_apart(run, dataset, tiny_dataset):
    difference = "18 in place of 5: without 'Kids', 'note', '科幻' and 1 more, with 'Action'"
    ((code, _, said),) = run_several(
        "mmgenre.evaluate", [["--run", run.path, "--data", tiny_dataset.path]]
    )
    assert code == 2 and len(said.splitlines()) == 1
    assert "has other genres than" in said and difference in said
    assert f"--genres {run.path / 'genres.txt'}" in said
    config = dataclasses.replace(
        run.load_config(), data=DataConfig(max_tokens=32, bucket_lengths=(32,))
    )
    with pytest.raises(UserError, match=r"holds a run on other genres .*18 in place of 5"):
        run.check_same(config, tiny_dataset.info)
    assert genre_difference(("a", "b"), ("b", "a")) == "their order"


def test_a_comparison_wants_one_list(run, tmp_path):
    from mmgenre.report.page import write_report

    other = tmp_path / "other"
    shutil.copytree(run.path, other)
    fields = json.loads((other / "dataset.json").read_text("utf-8"))
    fields["info"]["genres"].reverse()
    (other / "dataset.json").write_text(json.dumps(fields), "utf-8")
    with pytest.raises(UserError, match=r"has other genres than .*their order.*runs on one list"):
        write_report([run, other], tmp_path / "page.html")


def test_auto_takes_the_names_that_enough_movies_have(tmp_path):
    metadata = write_catalogue(tmp_path / "movies.csv", 150)
    found = prepare(
        PrepareConfig(
            metadata, None, tmp_path / "out", genres="auto", min_genre_movies=45, progress="none"
        )
    )
    assert found.info.genres == ("Family", "Noir", "Podcast", "drama", "note", "科幻")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the list of genres has 0 names; it must have 2 to 1,000"),
        ("Drama\n", "the list of genres has 1 names; it must have 2 to 1,000"),
        ("Drama\ndrama\n", "the list of genres has 'drama' twice"),
        ("Drama\nDrama\n", "'Drama' is there twice"),
        ("Drama = x\nComedy = X\n", "'X' stands for two genres"),
        ("Drama\n= x\n", "has the name ''"),
        ("Drama\n" + "x" * 101, "has the name 'xxx"),
        ("\n".join(f"g{n}" for n in range(1_002)), "more than 1,000 lines"),
        ("Drama\nCom\x00edy\n", "has the name 'Com"),
    ],
)
def test_a_list_that_is_none_is_refused_in_a_line(tmp_path, text, said):
    genres = tmp_path / "list.txt"
    genres.write_text(text, "utf-8")
    metadata = write_catalogue(tmp_path / "movies.csv", 4)
    with pytest.raises(UserError) as error:
        prepare(PrepareConfig(metadata, None, tmp_path / "out", genres=genres, progress="none"))
    assert said in str(error.value) and str(genres) in str(error.value)


def test_auto_with_too_few_or_too_many_names_says_what_to_change(tmp_path):
    metadata = write_catalogue(tmp_path / "movies.csv", 60)
    many = write_catalogue(tmp_path / "many.csv", 4_000, [f"g{n}" for n in range(1_500)])
    for path, least in ((metadata, 61), (many, 1)):
        config = PrepareConfig(
            path, None, tmp_path / "out", genres="auto", min_genre_movies=least, progress="none"
        )
        with pytest.raises(UserError, match=r"--genres auto: .*--min-genre-movies"):
            prepare(config)


def write_mmimdb(folder: Path, num_movies: int) -> Path:
    """Movies in MM-IMDb's form, with its names of genres and a split of its own."""
    lines = (ROOT / "configs/genres/mmimdb.txt").read_text("utf-8").splitlines()
    names = [line for line in lines if not line.startswith("#")]
    generator = np.random.default_rng(0)
    (folder / "dataset").mkdir(parents=True)
    ids = [f"{number:07d}" for number in range(1, num_movies + 1)]
    for number, id_ in enumerate(ids):
        genres = [names[number % 23], names[int(generator.integers(23))]]
        plot = [f"Short {number}.", f"A story of {' and '.join(genres)}, told in part {number}."]
        fields = {"title": f"Movie {number}", "plot": plot, "genres": genres}
        (folder / "dataset" / f"{id_}.json").write_text(json.dumps(fields), "utf-8")
        (folder / "dataset" / f"{id_}.jpeg").write_bytes(movie_files.jpeg(number))
    first, second = num_movies * 6 // 10, num_movies * 7 // 10
    split = {"train": ids[:first], "dev": ids[first:second], "test": ids[second:]}
    (folder / "split.json").write_text(json.dumps(split), "utf-8")
    return folder


@pytest.mark.slow
def test_the_papers_protocol_runs_on_movies_of_its_form(tmp_path):
    """The commands of docs/results.md, "MM-IMDb", with a smaller model."""
    write_mmimdb(tmp_path / "mmimdb", 230)
    data, workdir = tmp_path / "data", tmp_path / "run"
    prepared = run_module(
        "data_prep.prepare", "--metadata", tmp_path / "mmimdb",
        "--genres", "configs/genres/mmimdb.txt", "--out", data,
    )  # fmt: skip
    assert prepared.returncode == 0, prepared.stderr
    info = open_dataset(data).info
    assert {name: split.num_movies for name, split in info.splits.items()} == {
        "train": 138, "validation": 23, "test": 69,
    }  # fmt: skip
    assert len(info.genres) == 23
    trained = run_module(
        "mmgenre.main", "--config", "configs/model2.py:trial", f"--config.data.dir={data}",
        "--workdir", workdir,
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    evaluation = RunEvaluation.load(epath.Path(workdir / "evaluation-test.json"))
    assert evaluation.num_movies == 69 and len(evaluation.per_genre) == 23


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 1_000])
def test_two_and_a_thousand_genres(tmp_path, count):
    names = [f"Genre {number}" for number in range(count)]
    genres = tmp_path / "list.txt"
    genres.write_text("\n".join(names), "utf-8")
    metadata = write_catalogue(tmp_path / "movies.csv", max(150, count), names)
    found = prepare(
        PrepareConfig(metadata, None, tmp_path / "data", genres=genres, progress="none")
    )
    assert verify(found.path) == []
    run = train(found, tmp_path / "run")
    results = [
        run_module(f"mmgenre.{command}", "--run", run.path, *arguments)
        for command, *arguments in (
            ("report",),
            ("predict", "--overview", "sign0 of sign1", "--explain", tmp_path / "why.html"),
            ("export", "--out", tmp_path / "bundle"),
        )
    ]
    assert [result.returncode for result in results] == [0, 0, 0], results
    assert Path(run.path / "report.html").stat().st_size < 6 << 20
    assert (tmp_path / "why.html").exists()
    shutil.rmtree(tmp_path / "bundle")
