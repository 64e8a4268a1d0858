"""A data set with the vectors of tiny encoders, and a run that uses them."""

import dataclasses

import pytest
from etils import epath

from mmgenre.config import Config, DataConfig
from mmgenre.dataset.prepared import PreparedDataset, open_dataset
from mmgenre.runs.directory import RunDirectory
from tests.conftest import TINY_MODEL, prepare_tiny, shared, train_shared
from tests.encoders import tiny


@pytest.fixture(scope="session")
def encoded_dataset(
    demo_corpus: epath.Path, tmp_path_factory: pytest.TempPathFactory
) -> PreparedDataset:
    encoders = {
        "text_encoder": f"{tiny.MODULE}:words",
        "poster_encoder": f"{tiny.MODULE}:colours",
    }
    return open_dataset(
        shared(
            tmp_path_factory, "encoded/tiny", lambda out: prepare_tiny(demo_corpus, out, **encoders)
        )
    )


@pytest.fixture(scope="session")
def encoded_run(
    encoded_dataset: PreparedDataset, tmp_path_factory: pytest.TempPathFactory
) -> RunDirectory:
    config = Config(
        name="encoded",
        batch_size=16,
        epochs=2,
        branch_loss=0.3,
        data=DataConfig(dir=str(encoded_dataset.path), max_tokens=64, bucket_lengths=(32, 64)),
        model=dataclasses.replace(
            TINY_MODEL,
            fusion="sum",
            ngram_buckets=16,
            piece_buckets=16,
            poster_statistics_units=4,
            use_vectors=True,
            vector_units=8,
        ),
    )
    return train_shared(tmp_path_factory, config, encoded_dataset)
