"""Preparation with frozen encoders: what records hold, being killed, and mistakes."""

import os
import subprocess

import numpy as np
import pytest

from data_prep import verify
from data_prep.prepare import PrepareConfig, prepare
from mmgenre import schema
from mmgenre.dataset import prepared
from mmgenre.dataset.read_split import read_split
from mmgenre.errors import UserError
from mmgenre.inputs.poster_decoder import decode_poster
from tests.commands import ROOT, environment
from tests.encoders import tiny
from tests.prepare_command import command, run

SPECS = ("--text-encoder", f"{tiny.MODULE}:words", "--poster-encoder", f"{tiny.MODULE}:colours")


def test_records_hold_what_the_encoders_say(encoded_dataset, demo_corpus):
    info = encoded_dataset.info
    assert info.vector_sizes == {schema.POSTER_VECTOR: 12, schema.OVERVIEW_VECTOR: 16}
    assert info.encoders[schema.POSTER_VECTOR].digest == tiny.Colours.digest
    assert len(info.encoders[schema.OVERVIEW_VECTOR].digest) == 64
    names = (schema.HAS_POSTER, schema.OVERVIEW, schema.ID, *schema.VECTORS)
    movies = read_split(encoded_dataset, schema.TRAIN, *names)
    vectors = movies[schema.OVERVIEW_VECTOR]
    expected = tiny.Words().encode(movies[schema.OVERVIEW].tolist())
    np.testing.assert_array_equal(vectors, expected.astype(np.float16))
    has_vector = (movies[schema.POSTER_VECTOR] != 0).any(axis=1)
    np.testing.assert_array_equal(has_vector, movies[schema.HAS_POSTER])
    assert 0 < has_vector.sum() < len(has_vector)
    assert verify.verify(encoded_dataset.path) == []


def test_posters_are_encoded_from_their_files(raw_movies, tmp_path):
    dataset = prepare(
        PrepareConfig(
            *raw_movies,
            tmp_path / "out",
            require="poster",
            poster_encoder=f"{tiny.MODULE}:colours",
            progress="none",
        )
    )
    from PIL import Image

    movies = read_split(dataset, schema.TRAIN, schema.ID, schema.POSTER_VECTOR)
    for id_, vector in list(zip(*movies.values(), strict=True))[:5]:
        data = (raw_movies[1] / f"poster{id_}.jpg").read_bytes()
        picture = Image.fromarray(decode_poster(data, side=32))
        np.testing.assert_array_equal(
            vector, tiny.Colours().encode([picture])[0].astype(np.float16)
        )


def test_a_data_set_without_encoders_says_nothing_of_them(tiny_dataset):
    assert "encoders" not in (tiny_dataset.path / prepared.INFO_FILE).read_text()
    assert "vector" not in (tiny_dataset.path / "features.json").read_text()


def test_killed_while_encoding_and_run_again(raw_movies, tmp_path):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    options = (*SPECS, "--progress", "lines", "--processes", "1")
    process = subprocess.run(
        command(raw_movies, killed, *options),
        cwd=ROOT,
        env={**environment(), "MMGENRE_TEST_KILL_AT_CALL": "3"},
        capture_output=True,
        check=False,
    )
    assert process.returncode == -9 and not (killed / prepared.INFO_FILE).exists()
    (cache,) = (killed / ".work" / "vectors").glob(f"{schema.POSTER_VECTOR}-*.cache")
    kept = cache.read_bytes()
    assert len(kept) == 64 * (16 + 24 + 4)  # Two batches.
    cache.write_bytes(kept + kept[:10])  # Cut off in the midst of a row.
    done = run(command(raw_movies, killed, *options))
    assert done.returncode == 0, done.stderr
    assert cache.read_bytes()[: len(kept)] == kept and cache.stat().st_size == 100 * 44
    prepare(
        PrepareConfig(
            *raw_movies,
            whole,
            name="x",
            text_encoder=SPECS[1],
            poster_encoder=SPECS[3],
            progress="none",
        )
    )
    files = [path.name for path in whole.iterdir() if path.is_file()]
    assert all((whole / name).read_bytes() == (killed / name).read_bytes() for name in files)


def test_another_encoder_is_noticed_and_the_first_one_kept(raw_movies, tmp_path, capfd):
    config = PrepareConfig(
        *raw_movies, tmp_path / "out", text_encoder=f"{tiny.MODULE}:words", progress="lines"
    )
    first = prepare(config).info
    capfd.readouterr()
    assert prepare(config).info == first
    assert "encode: done before" in capfd.readouterr().err
    other = prepare(
        PrepareConfig(
            *raw_movies,
            tmp_path / "out",
            text_encoder=f"{tiny.MODULE}:other_words",
            progress="none",
        )
    ).info
    assert other.fingerprint != first.fingerprint
    assert other.encoders[schema.OVERVIEW_VECTOR].digest != (
        first.encoders[schema.OVERVIEW_VECTOR].digest
    )
    assert prepare(config).info == first
    without = PrepareConfig(*raw_movies, tmp_path / "out", progress="none")
    assert not prepare(without).info.encoders


@pytest.mark.parametrize(
    "option, spec, said",
    [
        ("text_encoder", "words", "--text-encoder is 'words'; give sentence-transformers:"),
        ("text_encoder", "timm:resnet18", "timm has encoders of pictures alone"),
        ("text_encoder", f"{tiny.MODULE}:nobody", "has no attribute 'nobody'"),
        ("text_encoder", "no.such.module:f", "needs no, which is missing"),
        ("text_encoder", f"{tiny.MODULE}:no_encoder", "is none: it needs a name"),
        ("text_encoder", f"{tiny.MODULE}:needs_a_package", "needs a_package_that_nobody_has"),
    ],
)
def test_mistakes(raw_movies, tmp_path, option, spec, said):
    config = PrepareConfig(*raw_movies, tmp_path / "out", progress="none", **{option: spec})
    with pytest.raises(UserError, match=said):
        prepare(config)


@pytest.mark.parametrize(
    "option, kind", [("--text", "sentence-transformers"), ("--poster", "timm")]
)
def test_a_missing_package_is_one_line(raw_movies, tmp_path, option, kind):
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    for name in ("torch", "timm", "sentence_transformers"):  # Wherever they are installed.
        text = f"raise ModuleNotFoundError('No module named {name}', name='{name}')\n"
        (blocked / f"{name}.py").write_text(text)
    settings = environment()
    path = os.pathsep.join([str(blocked), settings.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    done = subprocess.run(
        command(raw_movies, tmp_path / "out", f"{option}-encoder", f"{kind}:x"),
        cwd=ROOT,
        env={**settings, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert "missing; install it with: pip install -e '.[encoders]'" in line
