"""Proof that records are what `schema` says: a right checksum tells only that nobody damaged them.

Without it a poster of another size would end in TensorFlow's words, and a label of 7 or a token
outside the vocabulary in a model that is wrong in silence.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from mmgenre import schema
from mmgenre.dataset import example_parser
from mmgenre.dataset.example_parser import tf  # As set up there.

_POSTER_BYTES: Final = int(np.prod(schema.POSTER_SHAPE))
_TEXTS: Final = (schema.ID, schema.TITLE, schema.OVERVIEW)
_KINDS: Final = {
    schema.POSTER: "bytes_list",
    schema.HAS_POSTER: "int64_list",
    schema.TOKENS: "int64_list",
    schema.LABELS: "int64_list",
    **dict.fromkeys(_TEXTS, "bytes_list"),
}


def first_problem(
    records: Sequence[bytes],
    num_tokens: np.ndarray,
    vocabulary_size: int,
    num_genres: int,
    vector_sizes: Mapping[str, int] = MappingProxyType({}),
) -> tuple[int, str] | None:
    """Returns the place of the first record that is not sound, and why; None where all are.

    Args:
      records: serialised Examples, n of them.
      num_tokens: <int>[n], what the record index says of each.
      vocabulary_size: of the tokenizer.
      num_genres: of the data set.
      vector_sizes: of its vectors, by feature.
    """
    if _are_sound(list(records), num_tokens, vocabulary_size, num_genres, vector_sizes):
        return None
    for place, (record, tokens) in enumerate(zip(records, num_tokens.tolist(), strict=True)):
        for problem in _problems(record, tokens, vocabulary_size, num_genres, vector_sizes):
            return place, problem
    return None


def _are_sound(
    records: list[bytes],
    num_tokens: np.ndarray,
    vocabulary_size: int,
    num_genres: int,
    vector_sizes: Mapping[str, int],
) -> bool:
    """All at once, in a few calls."""
    try:
        stored = tf.io.parse_example(records, example_parser.stored(num_genres, vector_sizes))
    except (tf.errors.OpError, UnicodeDecodeError):  # The latter where it quotes such a record.
        return False
    labels, tokens = stored[schema.LABELS].numpy(), stored[schema.TOKENS].values.numpy()
    has_poster = stored[schema.HAS_POSTER].numpy()
    return bool(
        (tf.strings.length(stored[schema.POSTER]).numpy() == _POSTER_BYTES).all()
        and ((labels == 0) | (labels == 1)).all()
        and ((has_poster == 0) | (has_poster == 1)).all()
        and ((tokens > schema.PAD_ID) & (tokens < vocabulary_size)).all()
        and np.array_equal(np.diff(stored[schema.TOKENS].row_splits.numpy()), num_tokens)
        and all(_is_utf8(text) for name in _TEXTS for text in stored[name].numpy())
        and all(
            _is_vector(vector, size)
            for name, size in vector_sizes.items()
            for vector in stored[name].numpy()
        )
    )


def _problems(
    record: bytes,
    num_tokens: int,
    vocabulary_size: int,
    num_genres: int,
    vector_sizes: Mapping[str, int],
) -> Iterator[str]:
    """One record, feature by feature."""
    values = {}
    for name, kind in (_KINDS | dict.fromkeys(vector_sizes, "bytes_list")).items():
        try:
            feature = tf.train.Example.FromString(record).features.feature
        except Exception:  # Its class is of whichever protobuf TensorFlow came with.
            yield "is not an Example"
            return
        found = feature[name].WhichOneof("kind") if name in feature else None
        if found not in (kind, None) or (found is None and name != schema.TOKENS):
            yield f"has {name} of another kind ({found})" if found else f"has no {name}"
            return
        values[name] = list(getattr(feature[name], kind).value)
    yield from _value_problems(values, num_tokens, vocabulary_size, num_genres)
    for name, size in vector_sizes.items():
        if len(values[name]) != 1 or not _is_vector(values[name][0], size):
            yield f"has {name} that is not {size:,} finite numbers of 16 bits"


def _value_problems(
    values: dict[str, list[Any]], num_tokens: int, vocabulary_size: int, num_genres: int
) -> Iterator[str]:
    for name in (schema.POSTER, schema.HAS_POSTER, *_TEXTS):
        if len(values[name]) != 1:
            yield f"has {len(values[name]):,} values of {name} instead of one"
            return
    (poster,), (has_poster,) = values[schema.POSTER], values[schema.HAS_POSTER]
    labels, tokens = values[schema.LABELS], values[schema.TOKENS]
    if len(poster) != _POSTER_BYTES:
        yield f"has a poster of {len(poster):,} bytes instead of {_POSTER_BYTES:,}"
    if has_poster not in (0, 1):
        yield f"has has_poster {has_poster}"
    if len(labels) != num_genres or not {*labels} <= {0, 1}:
        yield f"has labels that are not {num_genres} zeros and ones"
    if len(tokens) != num_tokens:
        yield f"has {len(tokens):,} tokens, of which the record index says {num_tokens:,}"
    if not all(schema.PAD_ID < token < vocabulary_size for token in tokens):
        yield f"has a token outside 1 ... {vocabulary_size - 1:,}"
    for name in _TEXTS:
        if not _is_utf8(values[name][0]):
            yield f"has {name} that is not UTF-8"


def _is_vector(data: bytes, size: int) -> bool:
    return len(data) == 2 * size and bool(np.isfinite(np.frombuffer(data, "<f2")).all())


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
