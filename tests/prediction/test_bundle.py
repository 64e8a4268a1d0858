"""Bundles: they predict as the run does, without mmgenre, and refuse what they cannot be."""

import hashlib
import html
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from mmgenre import schema
from mmgenre.decisions.decision_rule import DecisionRule
from mmgenre.decisions.situations import SituationRules
from mmgenre.errors import UserError
from mmgenre.prediction.bundle import Bundle
from mmgenre.prediction.bundle_export import export_run
from mmgenre.prediction.movie import load_poster
from mmgenre.prediction.predictor import GenrePredictor
from tests.commands import ROOT, run_several

_WITHOUT_MMGENRE = """
import runpy, sys
for name in ("mmgenre", "flax", "optax", "orbax", "tensorflow", "clu", "etils"):
    sys.modules[name] = None  # To import it is an error.
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""

NAME = "- *a* [b](mailto:c) `d` <i>e $f$ | _g_ www.h.example &amp; 1. #i ~~j~~"
"""Of a run: Markdown, if one let it be."""


@pytest.fixture(scope="module")
def run_with_thresholds(tiny_run, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("export") / NAME
    shutil.copytree(tiny_run.path, folder)
    SituationRules(rule(0.2, 0.5), rule(0.3, 0.7), rule(0.1, 0.9)).save(folder)
    return folder


def rule(threshold: float, scale: float) -> DecisionRule:
    return DecisionRule(
        thresholds=tuple(np.linspace(threshold, 0.6, schema.NUM_GENRES)),
        scales=tuple(np.linspace(scale, 1.5, schema.NUM_GENRES)),
        biases=tuple(np.linspace(-1, threshold, schema.NUM_GENRES)),
        chosen_on="validation",
    )


@pytest.fixture(scope="module")
def bundle(run_with_thresholds, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("bundles") / "bundle"
    export_run(str(run_with_thresholds), out)
    return out


def odd_posters(folder: Path) -> list[Path]:
    """Pictures that are not plain RGB, on their side, or with EXIF that cannot be read."""
    shades = np.linspace(0, 65535, 96 * 64).reshape(96, 64)
    colours = np.stack([shades / 257, shades[::-1] / 257, shades.T.reshape(96, 64) / 257], -1)
    clear = Image.fromarray(np.dstack([colours, shades / 257]).astype(np.uint8))
    upright = Image.fromarray(colours.astype(np.uint8))
    lying = Image.Exif()
    lying[0x0112] = 6
    Image.fromarray(shades.astype(np.uint16)).save(folder / "grey16.png")
    clear.save(folder / "clear.png")
    upright.convert("P").save(folder / "palette.png", transparency=3)
    upright.convert("CMYK").save(folder / "cmyk.jpg")
    upright.resize((400, 600)).save(folder / "lying.jpg", exif=lying)
    upright.save(folder / "noexif.jpg", exif=b"Exif\0\0garbage")
    upright.save(folder / "noexif.webp", exif=b"garbage")
    return sorted(folder.iterdir())


def run_example(bundle: Path, *arguments: object) -> subprocess.CompletedProcess:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "XLA_FLAGS")}
    return subprocess.run(
        [sys.executable, "-c", _WITHOUT_MMGENRE, "example.py", *map(str, arguments)],
        cwd=bundle,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_example_predicts_as_the_run_without_mmgenre(
    bundle, run_with_thresholds, demo_corpus, tmp_path
):
    lines = (bundle / "example.py").read_text().splitlines()
    assert sum(bool(line) for line in lines) <= 60
    predictor = GenrePredictor.load(run_with_thresholds)
    poster = sorted((demo_corpus / "posters").iterdir())[0]
    overview = "A boy finds a map, and 👻 follow him to the island."
    (tmp_path / "odd").mkdir()
    for arguments, given in (
        ((poster, overview), {"posters": [str(poster)], "overviews": [overview]}),
        (("", overview), {"overviews": [overview]}),
        *(((odd,), {"posters": [str(odd)]}) for odd in odd_posters(tmp_path / "odd")),
    ):
        process = run_example(bundle, *arguments)
        assert process.returncode == 0, process.stderr
        answer = json.loads(process.stdout)
        (expected,) = predictor.predict(**given)
        found = {genre: values["probability"] for genre, values in answer.items()}
        assert found == pytest.approx(expected.probabilities, abs=1e-5)
        assert {g for g, v in answer.items() if v["predicted"]} == set(expected.genres)
    for words, name in (("No such file", "none.jpg"), ("cannot identify", "text.jpg")):
        (tmp_path / "text.jpg").write_text("no picture")
        process = run_example(bundle, tmp_path / name)
        assert process.returncode == 1 and words in process.stderr
        assert process.stderr.startswith("error: the poster") and process.stderr.count("\n") == 1


def test_any_batch_size_equals_the_run(bundle, run_with_thresholds, demo_corpus):
    predictor, opened = GenrePredictor.load(run_with_thresholds), Bundle.open(bundle)
    assert set(opened.exported.platforms) == {"cpu", "cuda"}
    posters = [load_poster(str(p)) for p in sorted((demo_corpus / "posters").iterdir())[:5]]
    tokens = [predictor.encode("a word " * (5 * n)) for n in range(5)]
    rules = predictor.rules  # The first overview has no word: its poster is alone.
    logits = predictor.logits(posters, tokens)
    expected = rules.answers(logits, np.ones(5, bool), np.arange(5) > 0).probabilities
    for size in (1, 3, 5):
        found = opened.probabilities(np.stack(posters[:size]), tokens[:size])
        np.testing.assert_allclose(found, expected[:size], atol=1e-5)
    assert opened.rules == predictor.rules


def test_a_name_in_the_card_is_no_markdown(bundle):
    markdown = pytest.importorskip("markdown_it").MarkdownIt().enable("table")
    shown = markdown.render((bundle / "MODEL_CARD.md").read_text())
    assert f"<h1>{html.escape(NAME)}: movie genres" in shown
    assert f"the run {html.escape(NAME)}." in shown.replace("\n", " ")
    assert "<a " not in shown and "<i>" not in shown


def test_the_card_says_what_matters(bundle):
    card = (bundle / "MODEL_CARD.md").read_text()
    for words in ("Licence of the data", "Data and splits", "Limits", "| Science Fiction |"):
        assert words in card


def damaged(bundle: Path, folder: Path) -> dict[str, Path]:
    """Copies of a bundle, each with a fault, by the words that are to name it."""
    copies = {}

    def copy(name: str, words: str) -> Path:
        shutil.copytree(bundle, folder / name)
        copies[words] = folder / name
        return folder / name

    newer = copy("newer", "has format 99")
    manifest = json.loads((newer / "bundle.json").read_text())
    (newer / "bundle.json").write_text(json.dumps(manifest | {"format_version": 99}))
    model = copy("model", "model.stablehlo") / "model.stablehlo"
    model.write_bytes(model.read_bytes()[:-10])
    tokenizer = copy("tokenizer", "tokenizer.json") / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text().replace("the", "teh"))
    (copy("cut", "bundle.json|JSONDecodeError") / "bundle.json").write_text("{")
    (copy("lacking", "thresholds.json") / "thresholds.json").unlink()
    return copies


def test_a_whole_model_that_jax_cannot_run_is_no_damage(bundle, tmp_path):
    """One for another platform: JAX reads it, and says no only when it is to run."""
    from jax import export

    folder = shutil.copytree(bundle, tmp_path / "bundle")
    shapes = ((1, 64, 64, 3), np.uint8), ((1, 64), np.int32), ((1,), np.int32)
    arguments = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in shapes]
    exported = export.export(jax.jit(lambda *a: a[0]), platforms=("tpu",))(*arguments)
    model = bytes(exported.serialize())
    (folder / "model.stablehlo").write_bytes(model)
    manifest = json.loads((folder / "bundle.json").read_text())
    manifest["files"]["model.stablehlo"] = hashlib.sha256(model).hexdigest()
    (folder / "bundle.json").write_text(json.dumps(manifest))
    ((code, _, error),) = run_several("mmgenre.export", [["--check", folder]])
    process = run_example(folder, "", "a boy")
    assert (code, process.returncode) == (2, 1)
    for line in (error, process.stderr):
        assert line.count("\n") == 1 and f"JAX {jax.__version__} cannot run" in line, line
        assert "wrote it" in line and "damaged" not in line, line


@pytest.mark.slow
def test_the_example_runs_where_its_card_says(bundle, tmp_path):
    """In an environment of its own with what the card names, and nothing else: needs an index."""
    (install,) = re.findall(r"^    pip (install .*)$", (bundle / "MODEL_CARD.md").read_text(), re.M)
    assert f"pip {install}" in (ROOT / "docs" / "using.md").read_text()
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", *install.split()], check=True, capture_output=True)
    Image.new("RGB", (40, 60), "red").save(tmp_path / "poster.jpg")
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "XLA_FLAGS")}
    for arguments in ((tmp_path / "poster.jpg", "A boy finds a map."), ("", "A boy"), ()):
        process = subprocess.run(
            [python, "example.py", *arguments],
            cwd=bundle,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, process.stderr
        assert set(json.loads(process.stdout)) == set(schema.GENRES)


def test_a_newer_or_damaged_bundle_is_refused(bundle, tmp_path):
    copies = damaged(bundle, tmp_path)
    for words, folder in copies.items():
        with pytest.raises(UserError, match=words):
            Bundle.open(folder)
    # The example, with what it has, sees the same.
    for words, folder in list(copies.items())[:2]:
        process = run_example(folder, "", "a boy")
        assert process.returncode == 1
        assert words in process.stderr and len(process.stderr.splitlines()) == 1


def test_mistakes(tiny_run, bundle, tmp_path):
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    for file in ("config.json", "dataset.json", "tokenizer.json"):
        (fresh / file).write_bytes((tiny_run.path / file).read_bytes())
    there = tmp_path / "there"
    there.mkdir()
    before = sorted(tmp_path.iterdir())
    cases = [
        (["--run", tmp_path / "none", "--out", tmp_path / "x"], "no such folder"),
        (["--run", fresh, "--out", tmp_path / "x"], "has no checkpoint yet"),
        (["--run", tiny_run.path, "--out", there], "there exists"),
        (["--run", tiny_run.path, "--out", tmp_path / "no" / "x"], "there is no folder"),
        (["--run", tiny_run.path], "add --out"),
        (["--check", there], "is no bundle: bundle.json is missing"),
    ]
    for (arguments, message), (code, _, error) in zip(
        cases, run_several("mmgenre.export", [a for a, _ in cases]), strict=True
    ):
        assert code == 2, (arguments, error)
        assert message in error and len(error.strip().splitlines()) == 1, (arguments, error)
    assert sorted(tmp_path.iterdir()) == before
