"""Word vectors from a file in word2vec's or GloVe's text format. No JAX, no TensorFlow."""

import contextlib
import itertools
from collections.abc import Iterator
from typing import Final

import numpy as np
from etils import epath

from mmgenre.errors import UserError, first_line

_LINES_TO_KNOW_A_FILE: Final = 1_000


def check_form(path: epath.PathLike, size: int) -> None:
    """Looks at a file's first lines, so that a mistake is answered before anything is compiled.

    Args:
      path: the file.
      size: values that a vector must have.

    Raises:
      UserError: no such file, or it is none of word vectors of that size.
    """
    with _errors_named(path), epath.Path(path).open("r", encoding="utf-8") as file:
        _check(path, [line.split() for line in itertools.islice(file, _LINES_TO_KNOW_A_FILE)], size)


def read(path: epath.PathLike, words: tuple[str, ...], size: int) -> dict[int, np.ndarray]:
    """Reads the vectors of known words.

    A line is a word and its values, with blanks between; the values are the last ones, since a word
    may have blanks in it (GloVe 840B: ". . ."). word2vec's first line, which counts words and
    values, is skipped.

    Args:
      path: the file.
      words: the word of each id; they have no blanks.
      size: values that a vector must have.

    Returns:
      <float32>[size] by word id.

    Raises:
      UserError: as `check_form`, a line of another length, or no known word at all.
    """
    check_form(path, size)
    ids = {word: number for number, word in enumerate(words)}
    vectors: dict[int, np.ndarray] = {}
    with _errors_named(path), epath.Path(path).open("r", encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            word, *values = line.rstrip().split(" ")
            if word not in ids or len(values) > size or (number == 1 and len(values) == 1):
                continue
            if len(values) < size:
                raise UserError(f"{path}, line {number}: {len(values)} values instead of {size}")
            vectors[ids[word]] = _finite(values)
    if not vectors:
        raise UserError(f"config.model.word_vectors: {path} has none of the tokenizer's words")
    return vectors


def _check(path: epath.PathLike, lines: list[list[str]], size: int) -> None:
    first, lengths = 1, [len(line) - 1 for line in lines]
    if lengths[:1] == [1]:
        first, lengths = 2, lengths[1:]
    if not lengths:
        raise ValueError("it has no lines")
    found = min(lengths)  # Where a word has blanks in it, there are more.
    if found < 1:
        raise ValueError(f"line {first + lengths.index(found)} has no values")
    for line in lines[first - 1 :]:
        _finite(line[-found:])
    if found != size:
        raise UserError(
            f"{path}, line {first + lengths.index(found)}: {found} values, but "
            f"config.model.embedding_size is {size}; set it to the size of the vectors"
        )


def _finite(values: list[str]) -> np.ndarray:
    vector = np.asarray(values, np.float32)
    if not np.isfinite(vector).all():
        raise ValueError("a value is not finite")
    return vector


@contextlib.contextmanager
def _errors_named(path: epath.PathLike) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"config.model.word_vectors: {path} cannot be read ({error.strerror or error})"
        ) from error
    except ValueError as error:  # Not a number, or not text.
        raise UserError(
            f"config.model.word_vectors: {path} is no text file of word vectors "
            f"({first_line(error)})"
        ) from error
