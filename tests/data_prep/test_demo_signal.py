"""The demo corpus needs both halves: the fused model beats either branch alone."""

import functools

import jax
import pytest
from scipy.special import expit

from data_prep.demo.corpus import write_demo_corpus
from data_prep.prepare import PrepareConfig, prepare
from mmgenre import schema
from mmgenre.config import Config, DataConfig, ModelConfig
from mmgenre.dataset.batch_plan import plan_training_epoch
from mmgenre.dataset.pipeline import MovieSource
from mmgenre.distributed import device_mapping
from mmgenre.evaluation import eval_steps, metrics
from mmgenre.evaluation.predict_split import predict_split
from mmgenre.training.learner import Learner

EPOCHS = 30
MARGIN = 0.05
"""By which the fused model's mean average precision exceeds each branch's, of values about 0.5."""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("signal")
    write_demo_corpus(folder / "corpus")
    return prepare(
        PrepareConfig(
            metadata=folder / "corpus" / "movies_metadata.csv",
            posters=folder / "corpus" / "posters",
            out=folder / "prepared",
            progress="none",
        )
    )


def mean_average_precision(dataset, **branches: bool) -> float:
    """Trains a slim model, whole or without a branch, and returns its figure on the test split."""
    config = Config(
        batch_size=128,
        learning_rate=2e-3,
        data=DataConfig(mode="host", bucket_lengths=(64, 128)),
        model=ModelConfig(
            vocabulary_size=4_000,
            embedding_size=32,
            cnn_filters=(16, 32),
            cnn_dropout=0.1,
            poster_features=64,
            lstm_dropout=0.1,
            head_units=(128,),
            head_dropout=0.1,
            **branches,
        ),
    )
    source = MovieSource(dataset, schema.TRAIN, config.data)
    learner = Learner(config, EPOCHS * (len(source.num_tokens) // config.batch_size))
    state = learner.initial_state()
    step = device_mapping.pmap_train_step(learner.train_step)
    for epoch in range(EPOCHS):
        plan = plan_training_epoch(
            source.num_tokens,
            batch_size=config.batch_size,
            bucket_lengths=config.data.bucket_lengths,
            seed=0,
            epoch=epoch,
        )
        for batch in source.batches(plan):
            state, sums = step(state, batch)
            jax.block_until_ready(sums)  # Simulated devices wait for each other: no queue of steps.
    eval_step = device_mapping.jit_eval_step(
        functools.partial(eval_steps.eval_step, model=learner.model)
    )
    test = MovieSource(dataset, schema.TEST, config.data)
    predictions = predict_split(eval_step, state.params, test, config)
    report = metrics.evaluate_probabilities(predictions.labels, expit(predictions.logits))
    return report.average_precision.macro


@pytest.mark.slow
def test_the_fused_model_beats_either_branch_by_a_clear_margin(dataset):
    fused = mean_average_precision(dataset)
    poster = mean_average_precision(dataset, use_overview=False)
    overview = mean_average_precision(dataset, use_poster=False)
    print(f"average precision: fused {fused:.3f}, poster {poster:.3f}, overview {overview:.3f}")
    assert fused > poster + MARGIN
    assert fused > overview + MARGIN
