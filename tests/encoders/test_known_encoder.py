"""Preparation knows an encoder whose files have not changed, and misses no change."""

import dataclasses
import os
from pathlib import Path

import pytest

from data_prep.prepare import PrepareConfig, prepare
from mmgenre import schema
from mmgenre.encoders.origin import origin_digest
from mmgenre.errors import UserError
from tests import movie_files
from tests.encoders import tiny


@pytest.fixture
def weights(tmp_path, monkeypatch) -> Path:
    path = tmp_path / "weights.txt"
    path.write_text("0.5")
    monkeypatch.setenv("MMGENRE_TEST_WEIGHTS", str(path))
    return path


@pytest.fixture
def config(tmp_path, weights) -> PrepareConfig:
    files = movie_files.make(tmp_path, 30)
    spec = f"{tiny.MODULE}:weighed"
    return PrepareConfig(*files, tmp_path / "out", text_encoder=spec, progress="none")


def _more(folder: Path) -> Path:
    rows = [movie_files.row(number) for number in range(1, 41)]
    return movie_files.write_csv(folder / "more.csv", rows)


def test_an_encoder_is_loaded_only_where_it_has_something_to_encode(config, weights, tmp_path):
    first = prepare(config).info
    loads = tiny.Weighed.loads
    assert prepare(config).info == first and tiny.Weighed.loads == loads
    # More movies: it is loaded for them, and says what it would have said.
    more = dataclasses.replace(config, metadata=_more(tmp_path))
    known = prepare(more).info
    assert tiny.Weighed.loads == loads + 1
    afresh = prepare(dataclasses.replace(more, out=tmp_path / "afresh")).info
    assert known.fingerprint == afresh.fingerprint != first.fingerprint


def test_changed_weights_of_the_same_size_and_time_are_noticed(config, weights):
    first = prepare(config).info.encoders[schema.OVERVIEW_VECTOR]
    before = weights.stat()
    weights.write_text("0.7")
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    second = prepare(config).info.encoders[schema.OVERVIEW_VECTOR]
    assert second.digest != first.digest
    weights.write_text("0.5")
    assert prepare(config).info.encoders[schema.OVERVIEW_VECTOR] == first


def test_an_encoder_that_declares_too_few_files_is_one_line(config, monkeypatch, tmp_path):
    prepare(config)
    monkeypatch.setenv("MMGENRE_TEST_UNDECLARED", "by something else")
    more = dataclasses.replace(config, metadata=_more(tmp_path))
    with pytest.raises(UserError, match="is not the one that it was, though its files are the"):
        prepare(more)
    assert "by something else" in prepare(more).info.encoders[schema.OVERVIEW_VECTOR].preprocessing


def test_a_folder_is_known_by_all_that_it_holds(tmp_path):
    folder = tmp_path / "model"
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "1_Pooling" / "config.json").write_text("{}")
    spec = f"sentence-transformers:{folder}"
    first = origin_digest(spec, ())
    assert first is not None and origin_digest(spec, ()) == first
    (folder / ".lock").write_text("")
    assert origin_digest(spec, ()) == first
    (folder / "1_Pooling" / "config.json").write_text("{ }")
    assert origin_digest(spec, ()) not in (None, first)
    (folder / "adapter_config.json").write_text("{}")  # It names a model elsewhere.
    assert origin_digest(spec, ()) is None


def test_a_factory_is_known_by_its_module_and_its_files(tmp_path, weights, monkeypatch):
    module = tmp_path / "a_factory_of_this_test.py"
    module.write_text("raise RuntimeError('looked for, never imported')")
    monkeypatch.syspath_prepend(tmp_path)
    spec = "a_factory_of_this_test:encoder"
    assert origin_digest(spec, ()) is None  # It declares nothing.
    first = origin_digest(spec, [str(weights)])
    assert first is not None
    module.write_text("raise RuntimeError('changed')")
    second = origin_digest(spec, [str(weights)])
    weights.write_text("0.25")
    assert len({first, second, origin_digest(spec, [str(weights)])}) == 3
    weights.unlink()
    assert origin_digest(spec, [str(weights)]) is None


def test_what_is_fetched_by_name_is_not_known_by_files(tmp_path, weights):
    for spec in (
        "timm:efficientnet_lite0",
        "timm:hf-hub:someone/model@weights.txt",
        f"timm:resnet18@{tmp_path / 'missing'}",
        "sentence-transformers:all-MiniLM-L6-v2",
        "no.such.module:factory",
    ):
        assert origin_digest(spec, [str(weights)]) is None, spec
    assert origin_digest(f"timm:resnet18@{weights}", ()) is not None


def test_a_file_that_changed_while_it_was_loaded_is_not_trusted(weights):
    spec = f"timm:resnet18@{weights}"
    changed = max(weights.stat().st_mtime, weights.stat().st_ctime)
    assert origin_digest(spec, (), before=changed) is None
    assert origin_digest(spec, (), before=changed + 1) == origin_digest(spec, ())
