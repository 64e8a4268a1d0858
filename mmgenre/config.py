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

ComputeDtype = Literal["float32", "bfloat16"]
LstmKernel = Literal["auto", "scan", "cudnn", "pallas"]
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
        "Folder of a prepared data set; empty for the built-in demo corpus.",
        may_change=True,  # Its fingerprint tells whether it is the same data.
    )
    mode: Literal["auto", "stream", "host", "resident"] = setting(
        "auto",
        '"stream" reads the records of each batch from the shards, "host" keeps them in memory, '
        '"resident" keeps the train split on every device; "auto" is "resident" on GPUs that have '
        'the memory, else "stream". All give the same batches.',
        may_change=True,
    )
    max_tokens: int = setting(128, "An overview is cut after so many tokens.", _SIZE)
    bucket_lengths: tuple[int, ...] = setting(
        (32, 64, 96, 128),
        "The lengths that batches of overviews are padded to, ascending, the last one "
        "data.max_tokens; few, since each is compiled, and each costs its own length in LSTM "
        "steps.",
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
        "Rows of the embedding; a data set's tokenizer may have fewer words, not more.",
        between(1, 10_000_000),
    )
    embedding_size: int = setting(128, "Features of a word.", _SIZE)
    embedding_stddev: float = setting(
        0.05,
        "Standard deviation of the embedding's random initial values. A thousand movies teach a "
        "wider one (0.5) faster.",
        _STDDEV,
    )
    cnn_filters: tuple[int, ...] = setting(
        (32, 64, 128, 128),
        "Filters of each 3x3 convolution; each is followed by ReLU and 2x2 max pooling.",
        lists(_SIZE, 1, 6),  # A poster's 64 pixels can be halved so often.
    )
    cnn_dropout: float = setting(0.3, "Rate after the last convolution.", RATE)
    poster_features: int = setting(
        512, "Units of the dense layer that ends the poster's branch.", _SIZE
    )
    lstm_units: tuple[int, ...] = setting((64, 64), "Units of each LSTM layer.", _SIZES)
    lstm_dropout: float = setting(0.3, "Rate after each LSTM layer.", RATE)
    overview_features: int = setting(
        18, "Units of the dense layer that ends the overview's branch.", _SIZE
    )
    head_units: tuple[int, ...] = setting(
        (512, 256),
        "Units of the dense layers between the concatenated features and the logits.",
        lists(_SIZE, 0, 64),
    )
    head_dropout: float = setting(0.3, "Rate after each of the head's layers.", RATE)
    use_poster: bool = setting(True, "False cuts the poster's branch off.")
    use_overview: bool = setting(True, "False cuts the overview's branch off.")
    compute_dtype: ComputeDtype = setting(
        "float32",
        "Of convolutions, LSTMs and dense layers; parameters, their gradients' sums, logits and "
        "loss are float32 in any case.",
    )
    product_precision: ProductPrecision = setting(
        "default",
        "Of float32 products on GPUs: by default TensorFloat-32 where the GPU has it; "
        '"highest" is float32. The logits\' product is float32 in any case.',
    )
    lstm_kernel: LstmKernel = setting(
        "auto",
        "How a GPU computes the LSTMs, the same function each way; docs/gpu.md compares them.",
        may_change=True,
    )
    fusion: Literal["dense", "sum"] = setting(
        "dense",
        '"dense" joins the branches\' features through the head; "sum" adds a logit of each '
        "branch, so that what one knows does not depend on the other being there.",
    )
    overview_pooling: Literal["last", "attention"] = setting(
        "last",
        '"last" takes the LSTM\'s output at the last word; "attention" means over all words of '
        "its outputs and of the word embeddings, plain and weighted.",
    )
    attention_heads: int = setting(
        8, 'Weighted means, with model.overview_pooling "attention".', between(1, 1_024)
    )
    word_dropout: float = setting(0.0, "Share of words whose embedding is dropped whole.", RATE)
    embedding_dropout: float = setting(
        0.0, "Rate of each feature of the embedding, the same for all words of a movie.", RATE
    )
    ngram_buckets: int = setting(
        0,
        "Hash buckets of word pairs for linear logits of words and pairs; 0 for none.",
        between(0, 2**28),
    )
    ngram_dropout: float = setting(0.0, "Rate on words and pairs there.", RATE)
    augment_posters: bool = setting(
        False, "Whether training flips, shifts and brightens posters at random."
    )
    word_vectors: str = setting(
        "",
        "What the embedding starts from: a file of word vectors in word2vec's or GloVe's text "
        'format, "cooccurrence" for vectors made from the train split, or empty for random '
        "values.",
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
            self.use_poster or self.use_overview,
            "model.use_poster and model.use_overview",
            False,
            "True in at least one",
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """One experiment."""

    name: str = setting("model1", "Names the run directory and the report.", may_change=True)
    seed: int = setting(
        0,
        "Of the initial parameters, the order of the movies and the dropout masks.",
        between(0, 2**31 - 1),
    )
    batch_size: int = setting(
        256, "Movies in a step, over all devices of all processes.", between(1, 2**20)
    )
    epochs: int = setting(
        30,
        "Passes over the train split, at most.",
        between(1, 1_000_000),
        may_change=True,  # But for a schedule, which ends with the last one.
    )
    patience: int = setting(
        5,
        "Epochs without a better validation metric after which training stops; 0 for never.",
        between(0, 1_000_000),
        may_change=True,
    )
    selection_metric: SelectionMetric = setting(
        "average_precision/macro", "The validation metric that chooses the best epoch."
    )
    learning_rate: float = setting(1e-3, "Of Adam, at its highest.", SHARE)
    embedding_learning_rate_factor: float = setting(
        1.0, "The learning rate of the word embeddings, as a share of learning_rate.", NOT_NEGATIVE
    )
    learning_rate_schedule: Literal["constant", "cosine"] = setting(
        "constant", '"constant", or "cosine": a short rise, then down to 2% at the end.'
    )
    ngram_learning_rate: float = setting(
        10.0,
        "Of the n-grams' logits, by gradient descent with momentum: no share of learning_rate.",
        NOT_NEGATIVE,
    )
    weight_decay: float = setting(0.0, "Of AdamW, on matrices; 0 for plain Adam.", NOT_NEGATIVE)
    branch_loss: float = setting(
        0.0, 'Weight of each branch\'s own loss, with model.fusion "sum".', NOT_NEGATIVE
    )
    clip_norm: float = setting(
        0.0, "The gradient's global norm is cut to this; 0 for no limit.", NOT_NEGATIVE
    )
    log_every_steps: int = setting(
        10,
        "Steps between two rows of training metrics.",
        between(1, 1_000_000_000),
        may_change=True,
    )
    checkpoint_every_steps: int = setting(
        0,
        "Steps between two checkpoints within an epoch; 0 for none. The end of an epoch has one "
        "besides, unless checkpoint_every_seconds is set.",
        between(0, 1_000_000_000),
        may_change=True,
    )
    checkpoint_every_seconds: float = setting(
        0.0,
        "Seconds between two checkpoints, within an epoch or at its end; the best epoch and the "
        "end of the training have one in any case. 0 saves at the end of each epoch, which "
        "short epochs spend much of their time with.",
        NOT_NEGATIVE,
        may_change=True,
    )
    steps_per_dispatch: int = setting(
        1,
        'At most so many steps are started at once, where data.mode is "resident"; rows and '
        'checkpoints come at the same steps whatever it is. Where "auto" becomes "resident", 1 '
        "stands for 16.",
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
