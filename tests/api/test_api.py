"""Three lines of Python: prepare, train, ask."""

import dataclasses
import shutil
import signal
import subprocess
import sys

import pytest

import mmgenre
from mmgenre.api.prepared_data import _default_folder
from mmgenre.api.train import _by_full_names
from mmgenre.catalogue.data_frame import as_catalogue
from mmgenre.config import default_config
from mmgenre.errors import UserError
from mmgenre.prediction.predictor import GenrePredictor
from tests.commands import ROOT, environment, run_module

GIBBERISH = "Xyzzy plugh."


@pytest.fixture(scope="module")
def frame(demo_corpus):
    """The demo corpus as a DataFrame."""
    pandas = pytest.importorskip("pandas")
    return pandas.read_csv(demo_corpus / "movies_metadata.csv").head(60)


def test_a_data_frame_is_prepared_as_a_file_is(frame, demo_corpus, tmp_path, capfd):
    """In a process that has imported JAX, and that multiprocessing could not start again."""
    plots = frame.rename(columns={"overview": "story"})
    options = {"columns": {"overview": "story"}, "vocabulary_size": 50, "processes": 2}
    data = mmgenre.prepare(plots, demo_corpus / "posters", out=tmp_path / "movies", **options)
    assert repr(data).startswith(f"PreparedData({str(tmp_path / 'movies')!r}: ")
    assert len(data.genres) == 18 and set(data.counts) == {"train", "validation", "test"}
    assert 40 < sum(data.counts.values()) <= 60
    assert "overview from 'story'" in capfd.readouterr().err
    assert mmgenre.PreparedData.open(data.path) == data
    assert (
        mmgenre.prepare(
            plots, demo_corpus / "posters", out=tmp_path / "movies", quiet=True, **options
        )
        == data
    )
    assert capfd.readouterr() == ("", "")


def test_another_data_frame_goes_into_another_folder(frame):
    folders = []
    for movies in (frame, frame.copy(), frame.head(59)):
        with as_catalogue(movies, choices="") as catalogue:
            folders.append(_default_folder(movies, catalogue))
    assert folders[0] == folders[1] != folders[2]
    assert all(folder.startswith("data/movies-") for folder in folders)
    assert _default_folder("films.csv.gz", "films.csv.gz") == "data/films"


def test_mistakes_in_preparing_are_told_as_the_command_does(frame, tmp_path):
    with pytest.raises(UserError, match="has no option 'widths'; do you mean width"):
        mmgenre.prepare("movies.csv", widths="w92")
    with pytest.raises(UserError, match=r"^the DataFrame has no column of genres"):
        mmgenre.prepare(frame.drop(columns=["genres"]), out=tmp_path / "x")
    with pytest.raises(UserError, match="of type int; give the path"):
        mmgenre.prepare(3)


def test_settings_are_found_by_full_name_leaf_or_group():
    given = {"epochs": 3, "cnn_dropout": 0.1, "data": {"max_tokens": 7}, "model.fusion": "sum"}
    assert _by_full_names(given) == {
        "epochs": 3,
        "model.cnn_dropout": 0.1,
        "data.max_tokens": 7,
        "model.fusion": "sum",
    }
    for mistakes, answer in (
        ({"epoch": 3}, "no setting 'epoch'; do you mean epochs?"),
        ({"model": {"cnn_filter": 3}}, "no setting 'model.cnn_filter'; do you mean"),
        ({"model": 3}, "model is a group of settings"),
        ({"epochs": "ten"}, "config.epochs is 'ten', but it must be a whole number"),
        ({"epochs": 0}, "config.epochs is 0, but it must be"),
    ):
        with pytest.raises(UserError, match=answer):
            mmgenre.train("nowhere", "model0", **mistakes)
    with pytest.raises(UserError, match="'modle2' does not exist; there are"):
        mmgenre.train("nowhere", "modle2")


def test_a_run_answers_as_its_predictor_does(tiny_run, frame, demo_corpus):
    run, predictor = mmgenre.load_run(tiny_run.path), GenrePredictor.load(tiny_run.path)
    assert repr(run) == f"Run({str(run.path)!r}: config 'tiny', trained on 'tiny', 18 genres)"
    text = str(frame.overview[0])
    poster = next((demo_corpus / "posters").iterdir())
    (expected,) = predictor.predict([poster], [text])
    assert run.predict(overview=text, poster=poster) == expected
    assert run.predict(overview=[text], poster=[poster]) == [expected]
    assert len(run.predict(overview=text, top=2).genres) == 2
    movies = frame.set_index(frame.index + 7)[["id", "overview", "poster_path"]].head(9)
    table = run.predict(movies, posters=demo_corpus / "posters")
    assert list(table.index) == list(range(7, 16))
    own = ["genres", "has_poster", "has_overview", "words", "unknown_words", "note"]
    assert list(table.columns) == [*own, *run.genres]
    assert table.iloc[0].words == expected.num_words > 0
    assert table.iloc[0].unknown_words == expected.num_unknown
    (first,) = predictor.predict(overviews=[text])
    alone = run.predict(movies[["overview"]].head(1))
    assert alone.iloc[0].genres == first.genres and not alone.iloc[0].has_poster
    assert alone[list(run.genres)].iloc[0].to_dict() == pytest.approx(first.probabilities, abs=1e-6)


def test_mistakes_in_asking_are_told(tiny_run, frame, tmp_path):
    run = mmgenre.load_run(tiny_run.path)
    for ask, answer in (
        (lambda: run.predict(), "has neither a poster nor an overview"),
        (lambda: run.predict(overview="x", poster="none.jpg"), "cannot read the poster none.jpg"),
        (lambda: run.predict(frame[["budget"]]), "^the DataFrame is not a table of movies"),
        (lambda: run.predict("movies.csv"), "of type str; give a pandas DataFrame"),
        (lambda: run.predict(overview="x", posters="x"), "belong to a DataFrame"),
        (lambda: run.evaluate(split="tset"), "split is 'tset'; choose from"),
        (lambda: mmgenre.load_run(tmp_path), "is not a run"),
    ):
        with pytest.raises(UserError, match=answer):
            ask()


@pytest.mark.slow
def test_training_goes_on_in_a_workdir_and_evaluates_as_the_command_does(
    tiny_run, tiny_config, tmp_path, capfd
):
    """The run is finished: training it again only evaluates. By then pytest has started JAX."""
    shutil.copytree(tiny_run.path, tmp_path / "tiny")
    handlers = [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)]
    run = mmgenre.train(tiny_config.data.dir, tiny_config, workdir=tmp_path / "tiny")
    assert "resuming from the checkpoint" in capfd.readouterr().err
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert run.config == tiny_config
    with pytest.raises(UserError, match=r"holds a run with config\.seed = 0, now it is 1"):
        mmgenre.train(tiny_config.data.dir, tiny_config, workdir=run.path, seed=1, quiet=True)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_three_lines_in_a_fresh_interpreter(demo_corpus, tmp_path):
    """A script without a guard around its lines, as a notebook's cells have none either."""
    script = tmp_path / "three.py"
    script.write_text(
        "import sys, jax; jax.devices()\n"
        "import mmgenre\n"
        f"data = mmgenre.prepare({str(demo_corpus / 'movies_metadata.csv')!r}, "
        f"posters={str(demo_corpus / 'posters')!r})\n"
        "run = mmgenre.train(data, 'model0:trial', batch_size=16, epochs=2)\n"
        "result = run.evaluate(quiet=True)\n"
        "print('RESULT', repr(result).splitlines()[0], result.f1.micro)\n"
        "print('HTML', result._repr_html_()[:3])\n"
        "print('GENRES', *run.predict(overview='A boy finds a map.', top=3).genres)\n"
        "print('TF', 'tensorflow' in sys.modules)\n"
    )
    process = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    said = dict(
        line.split(" ", 1)
        for line in process.stdout.splitlines()
        if line.split(" ")[0] in ("RESULT", "HTML", "GENRES", "TF")
    )
    run = mmgenre.load_run(tmp_path / "runs" / "model0-trial")
    assert said["RESULT"].startswith("model0-trial (step ")
    assert said["HTML"] == "<p>" and said["TF"] == "False"
    evaluated = run_module(
        "mmgenre.evaluate", "--run", run.path, "--data", "data/movies_metadata",
        "--out", tmp_path / "again.json", cwd=tmp_path,
    )  # fmt: skip
    assert evaluated.returncode == 0, evaluated.stderr
    ours, again = (run.path / "evaluation-test.json"), (tmp_path / "again.json")
    assert ours.read_text() == again.read_text()
    assert run.config == dataclasses.replace(run.config, batch_size=16, epochs=2)


@pytest.mark.slow
def test_ctrl_c_saves_and_the_same_call_goes_on(tiny_dataset, tiny_config, tmp_path):
    code = (
        "import mmgenre\n"
        f"run = mmgenre.train({str(tiny_dataset.path)!r}, 'model0:trial', workdir='run', "
        "batch_size=16, epochs=%d)\nprint(run)\n"
    )
    command = [sys.executable, "-u", "-c"]
    options = {"cwd": tmp_path, "env": environment(), "text": True}
    process = subprocess.Popen([*command, code % 100_000], stderr=subprocess.PIPE, **options)
    seen = ""
    for line in process.stderr:
        seen += line
        if "epoch" in line and "loss" in line:
            process.send_signal(signal.SIGINT)
            break
    seen += process.stderr.read()
    process.stderr.close()
    assert process.wait() != 0
    assert "SIGINT: saved after step" in seen and seen.rstrip().endswith("KeyboardInterrupt")
    again = subprocess.run([*command, code % 1], capture_output=True, check=False, **options)
    assert again.returncode == 0, again.stderr
    assert "resuming from the checkpoint" in again.stderr and "Run('run'" in again.stdout


def test_a_config_of_the_callers_own_is_what_trains():
    """Its settings go to the command as differences from a config that the command knows."""
    from mmgenre.api import train
    from mmgenre.config import Config
    from mmgenre.config_values import settings

    config = default_config()
    with config.unlocked():
        config.model.lstm_units = (8,)
        config.model.cnn_dropout = 0.25
    for name, value in train._fields(config).items():
        written = settings(Config)[name].parse(train._written(value))
        assert written == value or name == "data.dir"
    assert train._written((8,)) == "(8,)"


def test_the_checkout_is_where_commands_come_from():
    from mmgenre.api import child_command

    assert child_command._ROOT == ROOT
