"""Settings and fixtures: four simulated devices, a tiny data set, a tiny trained run.

What is made for a whole session is made once, by whichever of its workers asks first: see `shared`.
"""

import fcntl
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from mmgenre.machine import banners, compilation_cache
from tests.commands import CACHE, xla_flags

# Before JAX is imported anywhere: tests of several devices need several, and what one worker or
# run has compiled serves the next.
os.environ["XLA_FLAGS"] = xla_flags(4)
os.environ.setdefault("JAX_PLATFORMS", "cpu")  # On a machine with GPUs, too: what is compared bit
# for bit, on devices that are simulated. `commands.GPUS` says which tests can use GPUs.
os.environ["XDG_CACHE_HOME"] = str(CACHE)
compilation_cache.enable()
banners.silence()
# Whoever starts tests in the background ignores Ctrl-C, and so would all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

import pytest
from etils import epath

from mmgenre.config import Config, DataConfig, ModelConfig
from mmgenre.dataset.prepared import PreparedDataset, open_dataset
from mmgenre.runs.directory import RunDirectory
from tests import movie_files

TINY_MODEL = ModelConfig(
    vocabulary_size=2_000,
    embedding_size=8,
    cnn_filters=(4, 4),
    poster_features=8,
    lstm_units=(6, 5),
    overview_features=4,
    head_units=(8, 6),
)
"""A model of every part that the real ones have, that compiles and runs in no time."""


LONGEST = (
    "distributed/test_layouts",
    "machine/test_signals",
    "test_main",
    "serving/test_lifecycle",
    "evaluation/test_degenerate",
    "training/test_failures",
    "sweep/test_sweep",
    "encoders/test_prediction",
    "encoders/test_encode",
    "test_genre_lists",
    "models/test_models",
    "kernels/test_conv",
)
"""Files that take longest. They come first, so that no worker is left with one at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the files of `LONGEST` first; pytest-xdist keeps this order, see the Makefile."""
    here = Path(__file__).parent
    places = {here / f"{name}.py": number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))  # It is stable.


def shared(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Returns a folder that all workers of a session share; the first one to ask makes it.

    Args:
      factory: of temporary folders.
      name: of the folder.
      make: fills the folder, which is not there yet.
    """
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder, done = root / "shared" / name, root / "shared" / f"{name}.done"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (root / "shared" / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # Of a worker that failed to make it.
            make(folder)
            done.touch()
    return folder


def prepare_tiny(corpus: epath.Path, out: Path, **options: str) -> PreparedDataset:
    """Prepares a corpus into several shards a split, with further options of `PrepareConfig`."""
    from data_prep.prepare import PrepareConfig, prepare

    return prepare(
        PrepareConfig(
            metadata=corpus / "movies_metadata.csv",
            posters=corpus / "posters",
            out=out,
            num_shards=3,
            processes=1,
            progress="none",
            **options,
        )
    )


@pytest.fixture(scope="session")
def demo_corpus(tmp_path_factory: pytest.TempPathFactory) -> epath.Path:
    """A folder with the metadata and posters of 160 movies."""
    from data_prep.demo.corpus import write_demo_corpus

    def make(folder: Path) -> None:
        write_demo_corpus(epath.Path(folder), num_movies=160, seed=1)

    return epath.Path(shared(tmp_path_factory, "corpus", make))


@pytest.fixture(scope="session")
def tiny_dataset(
    demo_corpus: epath.Path, tmp_path_factory: pytest.TempPathFactory
) -> PreparedDataset:
    """The prepared data set of `demo_corpus`, in several shards a split."""
    folder = shared(tmp_path_factory, "prepared/tiny", lambda out: prepare_tiny(demo_corpus, out))
    return open_dataset(folder)


@pytest.fixture(scope="session")
def raw_movies(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(metadata, posters) of 150 movies, of which 100 have a poster and one a corrupt one."""
    folder = tmp_path_factory.mktemp("files")
    metadata, posters = movie_files.make(folder, movie_files.NUM_RAW_MOVIES, range(1, 101))
    (posters / "poster101.jpg").write_bytes(movie_files.jpeg(101)[:-100])
    return metadata, posters


@pytest.fixture(scope="session")
def prepared_movies(
    raw_movies: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> PreparedDataset:
    """The prepared data set of `raw_movies`."""
    from data_prep.prepare import PrepareConfig, prepare

    out = tmp_path_factory.mktemp("out") / "movies"
    return prepare(PrepareConfig(*raw_movies, out, progress="none"))


@pytest.fixture(scope="session")
def tiny_config(tiny_dataset: PreparedDataset) -> Config:
    """A config that trains `TINY_MODEL` on `tiny_dataset` for two epochs."""
    return Config(
        name="tiny",
        batch_size=16,
        epochs=2,
        log_every_steps=2,
        data=DataConfig(dir=str(tiny_dataset.path), max_tokens=64, bucket_lengths=(32, 64)),
        model=TINY_MODEL,
    )


@pytest.fixture(scope="session")
def tiny_run(
    tiny_config: Config, tiny_dataset: PreparedDataset, tmp_path_factory: pytest.TempPathFactory
) -> RunDirectory:
    """A finished run of `tiny_config`; tests read it and change copies only."""
    return train_shared(tmp_path_factory, tiny_config, tiny_dataset)


def train_shared(
    factory: pytest.TempPathFactory, config: Config, dataset: PreparedDataset
) -> RunDirectory:
    """Trains and evaluates a run that all workers share, in a folder of the config's name."""
    from mmgenre.training.trainer import train_and_evaluate

    def make(folder: Path) -> None:
        run = RunDirectory.start(epath.Path(folder), config, dataset)
        train_and_evaluate(config, dataset, run)

    return RunDirectory(epath.Path(shared(factory, f"runs/{config.name}", make)))
