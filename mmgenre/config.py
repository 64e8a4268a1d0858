"""The settings of an experiment: typed, checked, and the same everywhere.

A file under `configs/` builds an `ml_collections.ConfigDict` from `default_config()`, the command
line overrides single values of it, and `Config.from_config_dict` checks the result once and freezes
it. Everything inside the program takes these dataclasses, or parts of them. Imports nothing heavy,
so that a mistake in a config is answered at once.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any, Self

from ml_collections import ConfigDict

from mmgenre.config_values import build, require
from mmgenre.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where movies come from and how they become batches.

    Attributes:
      dir: folder of a prepared data set; empty for the built-in demo corpus.
      mode: "stream" reads the records of each batch from the shards, "host" keeps them in memory,
        "resident" keeps the train split on every device. All give the same batches.
      max_tokens: an overview is cut after so many tokens.
      bucket_lengths: the lengths that batches of overviews are padded to, ascending, the last one
        `max_tokens`; few, since each is compiled, and each costs its own length in LSTM steps.
    """

    dir: str = ""
    mode: str = "stream"
    max_tokens: int = 128
    bucket_lengths: tuple[int, ...] = (32, 64, 96, 128)

    def __post_init__(self) -> None:
        require(self.mode in DATA_MODES, "data.mode", self.mode, f"one of {', '.join(DATA_MODES)}")
        require(self.max_tokens > 0, "data.max_tokens", self.max_tokens, "positive")
        require(
            bool(self.bucket_lengths)
            and list(self.bucket_lengths) == sorted({*self.bucket_lengths})
            and self.bucket_lengths[0] > 0
            and self.bucket_lengths[-1] == self.max_tokens,
            "data.bucket_lengths",
            self.bucket_lengths,
            f"positive, ascending and end with data.max_tokens ({self.max_tokens})",
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The architecture: a CNN on the poster, stacked LSTMs on the overview, a fused head.

    Attributes:
      vocabulary_size: rows of the embedding; a data set's tokenizer may have fewer words, not more.
      embedding_size: features of a word.
      cnn_filters: filters of each 3x3 convolution; each is followed by ReLU and 2x2 max pooling.
      cnn_dropout: rate after the last convolution.
      poster_features: units of the dense layer that ends the poster's branch.
      lstm_units: units of each LSTM layer.
      lstm_dropout: rate after each LSTM layer.
      overview_features: units of the dense layer that ends the overview's branch.
      head_units: units of the dense layers between the concatenated features and the logits.
      head_dropout: rate after each of them.
      use_poster: False cuts the poster's branch off.
      use_overview: False cuts the overview's branch off.
      compute_dtype: "float32", or "bfloat16" for convolutions, LSTMs and dense layers; parameters,
        their gradients' sums, logits and loss are float32 in any case.
      lstm_kernel: "auto", "scan", "cudnn" or "pallas": how a GPU computes the LSTMs, the same
        function each way; docs/gpu.md compares them.
      fusion: "dense" joins the branches' features through the head; "sum" adds a logit of each
        branch, so that what one knows does not depend on the other being there.
      overview_pooling: "last" takes the LSTM's output at the last word; "attention" means over all
        words of its outputs and of the word embeddings, plain and weighted.
      attention_heads: weighted means, with overview_pooling "attention".
      word_dropout: share of words whose embedding is dropped whole.
      embedding_dropout: rate of each feature of the embedding, the same for all words of a movie.
      ngram_buckets: hash buckets of word pairs for linear logits of words and pairs; 0 for none.
      ngram_dropout: rate on words and pairs there.
      augment_posters: whether training flips, shifts and brightens posters at random.
      word_vectors: what the embedding starts from: a file of word vectors in word2vec's or GloVe's
        text format, "cooccurrence" for vectors made from the train split
        (`mmgenre.training.cooccurrence`), or empty for random values.
    """

    vocabulary_size: int = 20_000
    embedding_size: int = 128
    cnn_filters: tuple[int, ...] = (32, 64, 128, 128)
    cnn_dropout: float = 0.3
    poster_features: int = 512
    lstm_units: tuple[int, ...] = (64, 64)
    lstm_dropout: float = 0.3
    overview_features: int = 18
    head_units: tuple[int, ...] = (512, 256)
    head_dropout: float = 0.3
    use_poster: bool = True
    use_overview: bool = True
    compute_dtype: str = "float32"
    lstm_kernel: str = "auto"
    fusion: str = "dense"
    overview_pooling: str = "last"
    attention_heads: int = 8
    word_dropout: float = 0.0
    embedding_dropout: float = 0.0
    ngram_buckets: int = 0
    ngram_dropout: float = 0.0
    augment_posters: bool = False
    word_vectors: str = ""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            name, value = f"model.{field.name}", getattr(self, field.name)
            if choices := _CHOICES.get(name):
                require(value in choices, name, value, f"one of {', '.join(choices)}")
            elif name.endswith("_dropout"):
                require(0 <= value < 1, name, value, "at least 0 and below 1")
            elif name in ("model.ngram_buckets", "model.head_units"):
                sizes = value if isinstance(value, tuple) else (value,)
                require(all(size >= 0 for size in sizes), name, value, "0 or more")
            elif not isinstance(value, (bool, str)):
                sizes = value if isinstance(value, tuple) else (value,)
                require(all(size > 0 for size in sizes), name, value, "positive")
        require(
            self.use_overview or not self.ngram_buckets,
            "model.ngram_buckets",
            self.ngram_buckets,
            "0 where model.use_overview is False",
        )
        require(0 < len(self.cnn_filters) <= 6, "model.cnn_filters", self.cnn_filters, "1 to 6")
        require(len(self.lstm_units) > 0, "model.lstm_units", self.lstm_units, "one or more")
        require(
            self.use_poster or self.use_overview,
            "model.use_poster and model.use_overview",
            False,
            "True in at least one",
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """One experiment.

    Attributes:
      name: names the run directory and the report.
      seed: of the initial parameters, the order of the movies and the dropout masks.
      batch_size: movies in a step, over all devices of all processes.
      epochs: passes over the train split, at most.
      patience: epochs without a better validation metric after which training stops; 0 for never.
      selection_metric: the validation metric, "<metric>/<average>", that chooses the best epoch.
      learning_rate: of Adam, at its highest.
      embedding_learning_rate: of the word embeddings, as a share of learning_rate.
      learning_rate_schedule: "constant", or "cosine": a short rise, then down to 2% at the end.
      ngram_learning_rate: of the n-grams' logits, by gradient descent with momentum.
      weight_decay: of AdamW, on matrices; 0 for plain Adam.
      branch_loss: weight of each branch's own loss, with model.fusion "sum".
      clip_norm: the gradient's global norm is cut to this; 0 for no limit.
      log_every_steps: steps between two rows of training metrics.
      checkpoint_every_steps: steps between two checkpoints within an epoch; 0 for none. The end of
        an epoch always has one.
      steps_per_dispatch: at most so many steps are started at once, where data.mode is "resident";
        rows and checkpoints come at the same steps whatever it is.
      data: the input.
      model: the architecture.
    """

    name: str = "model1"
    seed: int = 0
    batch_size: int = 256
    epochs: int = 30
    patience: int = 5
    selection_metric: str = "average_precision/macro"
    learning_rate: float = 1e-3
    embedding_learning_rate: float = 1.0
    learning_rate_schedule: str = "constant"
    ngram_learning_rate: float = 10.0
    weight_decay: float = 0.0
    branch_loss: float = 0.0
    clip_norm: float = 0.0
    log_every_steps: int = 10
    checkpoint_every_steps: int = 0
    steps_per_dispatch: int = 1
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)

    def __post_init__(self) -> None:
        for name in ("batch_size", "epochs", "log_every_steps", "steps_per_dispatch"):
            require(getattr(self, name) > 0, name, getattr(self, name), "positive")
        for name in ("seed", "patience", "checkpoint_every_steps", *_NOT_NEGATIVE):
            value = getattr(self, name)
            require(0 <= value < math.inf, name, value, "0 or more, and finite")
        require(
            self.steps_per_dispatch == 1 or self.data.mode == "resident",
            "steps_per_dispatch",
            self.steps_per_dispatch,
            '1 unless config.data.mode is "resident"',
        )
        require(self.seed < 2**31, "seed", self.seed, "below 2**31")
        require(0 < self.learning_rate <= 1, "learning_rate", self.learning_rate, "in (0, 1]")
        require(
            self.learning_rate_schedule in ("constant", "cosine"),
            "learning_rate_schedule",
            self.learning_rate_schedule,
            '"constant" or "cosine"',
        )
        require(
            bool(self.name) and not set(self.name) & set("/\\\0") and self.name not in (".", ".."),
            "name",
            self.name,
            "a folder's name",
        )
        require(
            self.selection_metric in SELECTION_METRICS,
            "selection_metric",
            self.selection_metric,
            f"one of {', '.join(SELECTION_METRICS)}",
        )

    @classmethod
    def from_config_dict(cls, config: ConfigDict | Mapping[str, Any]) -> Self:
        """Checks names, types and ranges; raises UserError with the first mistake."""
        return build(cls, dict(config), "")

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote; raises UserError where it is something else."""
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UserError(f"the config is no JSON: {error}") from error
        if not isinstance(fields, dict):
            raise UserError("the config is no JSON object")
        return build(cls, fields, "")

    def to_json(self) -> str:
        """The config as indented JSON; `from_json` reads it."""
        return json.dumps(dataclasses.asdict(self), indent=2, allow_nan=False) + "\n"


DATA_MODES = ("stream", "host", "resident")

_CHOICES = {
    "model.compute_dtype": ("float32", "bfloat16"),
    "model.fusion": ("dense", "sum"),
    "model.lstm_kernel": ("auto", "scan", "cudnn", "pallas"),
    "model.overview_pooling": ("last", "attention"),
}
_NOT_NEGATIVE = (
    "clip_norm",
    "embedding_learning_rate",
    "ngram_learning_rate",
    "weight_decay",
    "branch_loss",
)

SELECTION_METRICS = (
    "average_precision/macro",
    "average_precision/micro",
    "roc_auc/macro",
    "roc_auc/micro",
    "f1/macro",
    "f1/micro",
    "loss",
)
"""What may choose the best epoch; all but the loss are better when higher."""


def default_config() -> ConfigDict:
    """Returns every setting with its default (Model 1), locked: unknown keys fail."""
    config = ConfigDict(dataclasses.asdict(Config()))
    config.lock()
    return config
