"""The settings of an experiment: typed, checked, and the same everywhere.

A file under `configs/` builds an `ml_collections.ConfigDict` from `default_config()`, the command
line overrides single values of it, and `Config.from_config_dict` checks the result once and freezes
it. Everything inside the program takes these dataclasses, or parts of them. Imports nothing heavy,
so that a mistake in a config is answered at once.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Final, Literal, Self

from ml_collections import ConfigDict

from mmgenre.config_values import (
    NOT_NEGATIVE,
    RATE,
    SHARE,
    Bounds,
    between,
    build,
    check,
    lists,
    require,
    setting,
)
from mmgenre.errors import UserError

FORMAT_VERSION: Final = 2
"""Of `config.json`. In format 1, which names none, some settings had the names of `_RENAMED`."""

_RENAMED: Final = {"embedding_learning_rate": "embedding_learning_rate_factor"}

_GONE_KERNELS: Final = ("pallas",)
"""Of earlier versions: a run that names one takes another, which computes the same function."""

ComputeDtype = Literal["float32", "bfloat16"]
LstmKernel = Literal["auto", "scan", "cudnn", "wavefront"]
ProductPrecision = Literal["default", "high", "highest"]
SelectionMetric = Literal[
    "average_precision/macro",
    "average_precision/micro",
    "roc_auc/macro",
    "roc_auc/micro",
    "f1/macro",
    "f1/micro",
    "loss",
]
"""What may choose the best epoch; all but the loss are better when higher."""

_SIZE: Final = between(1, 65_536)
_SIZES: Final = lists(_SIZE, 1, 64)
_STDDEV: Final = Bounds("above 0 and at most 100", lambda x: 0 < x <= 100)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where movies come from and how they become batches."""

    dir: str = setting(
        "",
        "Folder of the prepared data set; empty for the built-in demo corpus.",
        may_change=True,  # Its fingerprint tells whether it is the same data.
    )
    mode: Literal["auto", "stream", "host", "resident"] = setting(
        "auto",
        'Where training batches come from: "stream" reads each batch\'s records from the shards, '
        '"host" keeps the records in memory, "resident" keeps the train split on every device; '
        '"auto" is "resident" on GPUs with enough memory, else "stream". All give equal batches.',
        may_change=True,
    )
    max_tokens: int = setting(
        128, "Tokens of an overview that are used; the rest is cut off.", _SIZE
    )
    bucket_lengths: tuple[int, ...] = setting(
        (32, 64, 96, 128),
        "Lengths in tokens that batches of overviews are padded to, ascending; the last one is "
        "data.max_tokens. Each length is compiled separately, so a few are enough.",
        lists(_SIZE, 1, 64),
    )

    def __post_init__(self) -> None:
        check(self, "data.")
        require(
            list(self.bucket_lengths) == sorted({*self.bucket_lengths})
            and self.bucket_lengths[-1] == self.max_tokens,
            "data.bucket_lengths",
            self.bucket_lengths,
            f"ascending and end with data.max_tokens ({self.max_tokens})",
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The architecture: a CNN on the poster, stacked LSTMs on the overview, a fused head."""

    vocabulary_size: int = setting(
        20_000,
        "Rows of the word embedding; the data set's tokenizer may have fewer words, not more.",
        between(1, 10_000_000),
    )
    embedding_size: int = setting(128, "Features of a word's embedding.", _SIZE)
    embedding_stddev: float = setting(
        0.05,
        "Standard deviation of the random initial word embeddings. Small data sets (a thousand "
        "movies) learn faster from a wider one, such as 0.5.",
        _STDDEV,
    )
    cnn_filters: tuple[int, ...] = setting(
        (32, 64, 128, 128),
        "Filters of each 3x3 convolution; each is followed by ReLU and 2x2 max pooling.",
        lists(_SIZE, 1, 6),  # A poster's 64 pixels can be halved so often.
    )
    cnn_dropout: float = setting(0.3, "Dropout rate after the last convolution.", RATE)
    poster_features: int = setting(
        512, "Units of the dense layer at the end of the poster branch.", _SIZE
    )
    lstm_units: tuple[int, ...] = setting((64, 64), "Units of each LSTM layer.", _SIZES)
    lstm_dropout: float = setting(0.3, "Dropout rate after each LSTM layer.", RATE)
    overview_features: int = setting(
        18, "Units of the dense layer at the end of the overview branch.", _SIZE
    )
    head_units: tuple[int, ...] = setting(
        (512, 256),
        "Units of the dense layers between the concatenated features and the logits (the head).",
        lists(_SIZE, 0, 64),
    )
    head_dropout: float = setting(0.3, "Dropout rate after each dense layer of the head.", RATE)
    use_poster: bool = setting(True, "Whether the model has a poster branch.")
    use_overview: bool = setting(True, "Whether the model has an overview branch.")
    compute_dtype: ComputeDtype = setting(
        "float32",
        "Data type of convolutions, LSTMs and dense layers; parameters, sums of gradients, logits "
        "and loss are always float32.",
    )
    product_precision: ProductPrecision = setting(
        "default",
        "Precision of float32 matrix products on GPUs: the default is TensorFloat-32 where the GPU "
        'has it, "highest" is full float32. The product for the logits is always float32.',
    )
    lstm_kernel: LstmKernel = setting(
        "auto",
        "Implementation of the LSTMs on a GPU; all compute the same function (docs/gpu.md compares "
        "them).",
        may_change=True,
    )
    fusion: Literal["dense", "sum"] = setting(
        "dense",
        'How the branches are fused: "dense" concatenates their features and applies the head; '
        '"sum" adds the logits of each branch, so that either branch works without the other.',
    )
    overview_pooling: Literal["last", "attention"] = setting(
        "last",
        'How the overview becomes one vector: "last" takes the LSTM\'s output at the last token; '
        '"attention" takes means over all tokens, plain and attention-weighted, of the LSTM\'s '
        "outputs and of the word embeddings.",
    )
    attention_heads: int = setting(
        8, 'Attention heads where model.overview_pooling is "attention".', between(1, 1_024)
    )
    word_dropout: float = setting(
        0.0, "Share of tokens whose whole embedding is dropped in training.", RATE
    )
    embedding_dropout: float = setting(
        0.0, "Dropout rate of embedding features; one mask for all tokens of a movie.", RATE
    )
    ngram_buckets: int = setting(
        0,
        "Hash buckets for word pairs in the linear n-gram logits; 0 for no n-gram logits.",
        between(0, 2**28),
    )
    piece_buckets: int = setting(
        0,
        "Hash buckets for pieces of words (3 to 5 characters) in the n-gram logits, by which rare "
        "words share what related ones have learned; 0 for none.",
        between(0, 2**24),  # A float32 holds their numbers.
    )
    ngram_dropout: float = setting(
        0.0, "Dropout rate on the words and word pairs of the n-gram logits.", RATE
    )
    poster_statistics_units: int = setting(
        0,
        "Units of the hidden layer of a small network on a poster's statistics (colours, textures, "
        "directions of edges), whose logits are added; 0 for no such network.",
        between(0, 65_536),
    )
    poster_statistics_dropout: float = setting(
        0.5, "Dropout rate on a poster's statistics and on that hidden layer.", RATE
    )
    use_vectors: bool = setting(
        False,
        "Whether the vectors of frozen encoders that the data set was prepared with are further "
        "evidence, each by a small network whose logits are added.",
    )
    vector_units: int = setting(
        256,
        "Units of the hidden layer of each vector's network; 0 for none.",
        between(0, 65_536),
    )
    poster_vector_dropout: float = setting(
        0.5, "Dropout rate on the poster's vector and on its hidden layer.", RATE
    )
    overview_vector_dropout: float = setting(
        0.5, "Dropout rate on the overview's vector and on its hidden layer.", RATE
    )
    augment_posters: bool = setting(
        False, "Whether training flips, shifts and brightens posters at random (data augmentation)."
    )
    word_vectors: str = setting(
        "",
        "Initial word embeddings: a file of word vectors in the text format of word2vec or GloVe, "
        '"cooccurrence" for vectors from word co-occurrence in the train split, or empty for '
        "random values.",
    )

    def __post_init__(self) -> None:
        check(self, "model.")
        require(
            self.use_overview or not self.ngram_buckets,
            "model.ngram_buckets",
            self.ngram_buckets,
            "0 where model.use_overview is False",
        )
        require(
            bool(self.ngram_buckets) or not self.piece_buckets,
            "model.piece_buckets",
            self.piece_buckets,
            "0 where model.ngram_buckets is 0",
        )
        require(
            self.use_poster or not self.poster_statistics_units,
            "model.poster_statistics_units",
            self.poster_statistics_units,
            "0 where model.use_poster is False",
        )
        require(
            self.use_poster or self.use_overview,
            "model.use_poster and model.use_overview",
            False,
            "True in at least one",
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """One experiment."""

    name: str = setting(
        "model1",
        "Name of the experiment: of the default run directory, and in the report.",
        may_change=True,
    )
    seed: int = setting(
        0,
        "Random seed of the initial parameters, the order of the movies and the dropout masks.",
        between(0, 2**31 - 1),
    )
    batch_size: int = setting(
        256, "Movies in a training step, over all devices of all processes.", between(1, 2**20)
    )
    epochs: int = setting(
        30,
        "Maximum number of passes over the train split.",
        between(1, 1_000_000),
        may_change=True,  # But for a schedule, which ends with the last one.
    )
    patience: int = setting(
        5,
        "Early stopping: epochs without a better validation metric before training stops; 0 for "
        "never.",
        between(0, 1_000_000),
        may_change=True,
    )
    selection_metric: SelectionMetric = setting(
        "average_precision/macro", "Validation metric that chooses the best epoch."
    )
    learning_rate: float = setting(1e-3, "Peak learning rate of Adam.", SHARE)
    embedding_learning_rate_factor: float = setting(
        1.0, "Learning rate of the word embeddings, as a multiple of learning_rate.", NOT_NEGATIVE
    )
    poster_vector_learning_rate_factor: float = setting(
        1.0,
        "Learning rate of the networks on a poster's statistics and on its encoder's vector, "
        "as a multiple of learning_rate.",
        NOT_NEGATIVE,
    )
    learning_rate_schedule: Literal["constant", "cosine"] = setting(
        "constant",
        'Learning rate over time: "constant", or "cosine" with a short warm-up and a decay to 2%.',
    )
    ngram_learning_rate: float = setting(
        10.0,
        "Learning rate of the n-gram logits, which are trained by gradient descent with momentum.",
        NOT_NEGATIVE,
    )
    weight_decay: float = setting(
        0.0, "Weight decay of AdamW on weight matrices; 0 for plain Adam.", NOT_NEGATIVE
    )
    branch_loss: float = setting(
        0.0,
        'Weight of the auxiliary loss of each part\'s own logits where model.fusion is "sum".',
        NOT_NEGATIVE,
    )
    poster_loss: float = setting(
        0.0,
        "Weight of the auxiliary loss of the poster's own logits, those of all its parts, where "
        'model.fusion is "sum".',
        NOT_NEGATIVE,
    )
    poster_loss_scale: float = setting(
        1.0,
        "What the poster's logits are multiplied by in the auxiliary losses: above 1 the poster "
        "counts less beside an overview than it would alone.",
        Bounds("0.01 to 100", lambda x: 0.01 <= x <= 100),
    )
    clip_norm: float = setting(
        0.0, "Gradient clipping: the maximum global norm; 0 for no limit.", NOT_NEGATIVE
    )
    log_every_steps: int = setting(
        10,
        "Steps between two rows of training metrics in metrics.jsonl and TensorBoard.",
        between(1, 1_000_000_000),
        may_change=True,
    )
    checkpoint_every_steps: int = setting(
        0,
        "Steps between checkpoints within an epoch; 0 for none. Each epoch ends with a checkpoint "
        "as well, unless checkpoint_every_seconds is set.",
        between(0, 1_000_000_000),
        may_change=True,
    )
    checkpoint_every_seconds: float = setting(
        0.0,
        "Seconds between checkpoints; 0 saves at the end of each epoch, which takes a large share "
        "of short epochs. The best epoch and the end of training are always saved.",
        NOT_NEGATIVE,
        may_change=True,
    )
    steps_per_dispatch: int = setting(
        1,
        'Maximum number of steps in one dispatch to the devices where data.mode is "resident"; '
        'metrics and checkpoints do not depend on it. Where "auto" becomes "resident", 1 means 16.',
        between(1, 1_000_000),
        may_change=True,
    )
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)

    def __post_init__(self) -> None:
        check(self)
        require(
            self.steps_per_dispatch == 1 or self.data.mode in ("auto", "resident"),
            "steps_per_dispatch",
            self.steps_per_dispatch,
            '1 unless config.data.mode is "resident" or "auto"',
        )
        require(
            bool(self.name) and not set(self.name) & set("/\\\0") and self.name not in (".", ".."),
            "name",
            self.name,
            "a folder's name",
        )

    @classmethod
    def from_config_dict(cls, config: ConfigDict | Mapping[str, Any]) -> Self:
        """Checks names, types and ranges; raises UserError with the first mistake."""
        return build(cls, dict(config))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote, in this version of the program or an earlier one.

        Raises:
          UserError: it is something else, or a later version wrote it.
        """
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UserError(f"the config is no JSON: {error}") from error
        if not isinstance(fields, dict):
            raise UserError("the config is no group of settings")
        version = fields.pop("format_version", 1)
        if type(version) is int and version == 1:
            fields = {_RENAMED.get(name, name): value for name, value in fields.items()}
        elif type(version) is not int or version != FORMAT_VERSION:
            raise UserError(
                f"the config is of format {version!r}, but this version of mmgenre reads 1 to "
                f"{FORMAT_VERSION}; install the version that wrote it"
            )
        model = fields.get("model")
        if isinstance(model, dict) and model.get("lstm_kernel") in _GONE_KERNELS:
            fields["model"] = {**model, "lstm_kernel": "auto"}
        return build(cls, fields)

    def to_json(self) -> str:
        """The config as indented JSON; `from_json` reads it."""
        fields = {"format_version": FORMAT_VERSION, **dataclasses.asdict(self)}
        return json.dumps(fields, indent=2, allow_nan=False) + "\n"


def default_config() -> ConfigDict:
    """Returns every setting with its default (Model 1), locked: unknown keys fail."""
    config = ConfigDict(dataclasses.asdict(Config()))
    config.lock()
    return config
