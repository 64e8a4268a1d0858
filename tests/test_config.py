"""Configs: typed, checked, whole."""

import dataclasses
import importlib.util
import json
from pathlib import Path

import jax
import pytest

from mmgenre.config import Config, DataConfig, ModelConfig, default_config
from mmgenre.config_values import flatten, nest, settings
from mmgenre.errors import UserError
from mmgenre.models import fusion

CONFIGS = sorted((Path(__file__).parent.parent / "configs").glob("*.py"))


def load(path: Path, variant: str = "") -> Config:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Config.from_config_dict(module.get_config(variant))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
@pytest.mark.parametrize("variant", ["", "trial"])
def test_every_config_builds_a_model(path, variant):
    config = load(path, variant)
    assert config.name == path.stem + (f"-{variant}" if variant else "")
    model = fusion.build(config.model)
    batch = fusion.example_batch(2, 8)
    logits, _ = jax.eval_shape(
        lambda key: model.init_with_output(key, batch, deterministic=True), jax.random.key(0)
    )
    assert logits.shape == (2, 18)


def test_models_0_and_1_share_what_the_specification_leaves_free():
    config0, config1 = (load(path) for path in CONFIGS if path.stem in ("model0", "model1"))
    assert (config0.batch_size, config1.batch_size) == (128, 256)
    for field in ("vocabulary_size", "embedding_size", "lstm_units", "head_units", "head_dropout"):
        assert getattr(config0.model, field) == getattr(config1.model, field)
    assert config0.data == config1.data
    assert config0.learning_rate == config1.learning_rate
    assert (config0.model.cnn_dropout, config0.model.lstm_dropout) == (0.0, 0.0)
    assert (config1.model.cnn_dropout, config1.model.lstm_dropout) == (0.3, 0.3)


def test_json_round_trip():
    config = dataclasses.replace(Config(), seed=3, data=DataConfig(dir="x"))
    assert Config.from_json(config.to_json()) == config


def test_the_default_config_is_locked():
    config = default_config()
    with pytest.raises(AttributeError):
        config.no_such_setting = 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"batch": 1}, "config.batch is no setting"),
        ({"model": {"filters": 1}}, "config.model.filters is no setting"),
        ({"model": 3}, "config.model is 3, but it is a group"),
        ({"batch_size": "x"}, "config.batch_size is 'x', but it must be a whole number"),
        ({"batch_size": True}, "config.batch_size is True, but it must be a whole number"),
        (
            {"batch_size": 0},
            "it must be a whole number, 1 to 1,048,576",
        ),
        ({"seed": -1}, "config.seed is -1"),
        ({"learning_rate": float("nan")}, "config.learning_rate is nan"),
        (
            {"clip_norm": float("inf")},
            "config.clip_norm is inf, but it must be a number, 0 or more",
        ),
        ({"name": "a/b"}, "config.name is 'a/b'"),
        ({"selection_metric": "auc"}, "config.selection_metric is 'auc'"),
        ({"data": {"mode": "disk"}}, "config.data.mode is 'disk', but it must be one of auto"),
        ({"steps_per_dispatch": 0}, "config.steps_per_dispatch is 0"),
        (
            {"steps_per_dispatch": 8, "data": {"mode": "host"}},
            '1 unless config.data.mode is "resident"',
        ),
        ({"model": {"compute_dtype": "float16"}}, "one of float32, bfloat16"),
        ({"model": {"lstm_kernel": "fast"}}, "one of auto, scan, cudnn, wavefront"),
        ({"data": {"max_tokens": 100}}, "config.data.bucket_lengths"),
        ({"data": {"bucket_lengths": (64, 32, 128)}}, "config.data.bucket_lengths"),
        ({"data": {"bucket_lengths": 128}}, "a list of whole numbers"),
        ({"learning_rate": 10**400}, "config.learning_rate is 1000"),
        ({"learning_rate": 0}, "a number, above 0 and at most 1"),
        ({"ngram_learning_rates": 1}, "do you mean ngram_learning_rate?"),
        ({"data": {"max_tokens": 2 * 10**9}}, "config.data.max_tokens is 2000000000"),
        ({"model": {"lstm_units": (64,) * 99}}, "1 to 64 of them, each 1 to 65,536"),
        ({"model": {"lstm_units": (64, True)}}, "a list of whole numbers"),
        (
            {"model": {"use_poster": 1}},
            "use_poster is 1, but it must be True or False",
        ),
        ({"model": {"cnn_dropout": 1.0}}, "config.model.cnn_dropout is 1.0"),
        ({"model": {"lstm_units": ()}}, "config.model.lstm_units is ()"),
        ({"model": {"lstm_units": (64, 0)}}, "config.model.lstm_units is (64, 0)"),
        ({"model": {"use_poster": False, "use_overview": False}}, "True in at least one"),
    ],
)
def test_mistakes_are_named(fields, message):
    with pytest.raises(UserError) as error:
        Config.from_config_dict(fields)
    assert message in str(error.value)


def test_whole_numbers_are_accepted_as_fractions():
    assert Config.from_config_dict({"learning_rate": 1}).learning_rate == 1.0
    assert Config.from_config_dict({"model": {"lstm_units": [3, 4]}}).model.lstm_units == (3, 4)
    assert ModelConfig().lstm_units == (64, 64)


def test_a_run_goes_on_with_what_changes_no_result_only():
    """A new setting that changes results must not be changed on resuming unnoticed."""
    assert {name for name, declared in settings(Config).items() if declared.may_change} == {
        "name",
        "epochs",
        "patience",
        "log_every_steps",
        "checkpoint_every_steps",
        "checkpoint_every_seconds",
        "steps_per_dispatch",
        "data.dir",
        "data.mode",
        "model.lstm_kernel",
    }


def test_every_setting_says_what_it_means_and_takes_its_default():
    for name, declared in settings(Config).items():
        assert declared.doc.endswith("."), name
        assert declared.doc[0].isupper() or declared.doc[0] == '"', name
        assert declared.convert(declared.default) == declared.default
        declared.check(declared.default)
        if declared.type in (int, float) or declared.type not in (bool, str):
            assert declared.bounds or declared.choices, name


def test_the_config_file_of_an_older_version_is_read():
    """Format 1 names no version, and one setting otherwise."""
    fields = dataclasses.asdict(Config(embedding_learning_rate_factor=0.1))
    fields["embedding_learning_rate"] = fields.pop("embedding_learning_rate_factor")
    assert Config.from_json(json.dumps(fields)).embedding_learning_rate_factor == 0.1
    new = {"format_version": 2, **fields}
    with pytest.raises(UserError, match="do you mean embedding_learning_rate_factor"):
        Config.from_json(json.dumps(new))


def test_a_run_with_a_kernel_that_is_gone_takes_another():
    text = json.dumps({**json.loads(Config().to_json()), "model": {"lstm_kernel": "pallas"}})
    assert Config.from_json(text).model.lstm_kernel == "auto"


@pytest.mark.parametrize("version", [3, 0, "2", None, True, 1.5, [2]])
def test_the_config_file_of_a_newer_version_is_refused(version):
    text = json.dumps({**json.loads(Config().to_json()), "format_version": version})
    with pytest.raises(UserError, match="format") as error:
        Config.from_json(text)
    assert len(str(error.value).splitlines()) == 1


def test_values_by_names_with_dots():
    config = Config(seed=3, data=DataConfig(dir="x"))
    values = flatten(config)
    assert (values["seed"], values["data.dir"], values["model.lstm_units"]) == (3, "x", (64, 64))
    assert list(values) == list(settings(Config))
    assert Config.from_config_dict(nest(values)) == config
