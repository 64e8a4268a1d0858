"""Overviews to token ids: words of any script, lower-cased and normalised.

A token is a word (letters, marks and digits of one run), an English contraction's ending ("'s"), or
one punctuation mark or symbol. Scripts that put no spaces between words are split finer: Chinese
and Japanese into characters; Thai, Lao, Khmer and Burmese into characters with their marks. Text is
normalised to NFKC and lower-cased; accents stay, because "pêche" and "péché" are two words, and a
letter that was typed as base and mark equals the composed one.

No TensorFlow, no JAX: preparation and prediction share this module.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Self

import numpy as np
import tokenizers
from etils import epath
from tokenizers import models, normalizers, pre_tokenizers, trainers

from mmgenre import schema
from mmgenre.errors import UserError, first_line
from mmgenre.machine import files

DEFAULT_VOCABULARY_SIZE: Final = 20_000
"""Ids in the vocabulary, the two special ones included."""

PAD_WORD: Final = "[PAD]"
UNKNOWN_WORD: Final = "[UNK]"
# Neither can come out of the pre-tokenizer, which splits off brackets: no text contains them.
_SPECIAL_WORDS: Final = {PAD_WORD: schema.PAD_ID, UNKNOWN_WORD: schema.UNKNOWN_ID}

_SPACELESS: Final = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORD_PATTERN: Final = "|".join(
    (
        rf"[{_SPACELESS}]\p{{M}}*",
        r"(?<=\p{L})'(?:s|t|d|m|ll|re|ve)(?![\p{L}\p{M}\p{N}])",
        rf"(?:(?![{_SPACELESS}])[\p{{L}}\p{{M}}\p{{N}}\x{{200C}}\x{{200D}}])+",
        r"[\p{P}\p{S}]",
    )
)
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_BATCH: Final = 1024
_PADDING: Final = {
    "strategy": "BatchLongest",
    "direction": "Right",
    "pad_to_multiple_of": None,
    "pad_id": schema.PAD_ID,
    "pad_type_id": 0,
    "pad_token": PAD_WORD,
}
"""For other programs that read the file; batches here are padded to lengths of their own."""

_MAX_BYTES: Final = 1 << 28  # Of a file: several million words.
_MAX_WORD: Final = 1 << 17  # Characters; no overview is longer.


class OverviewTokenizer:
    """Turns overviews into ids of a fixed vocabulary; made by `train` or `load`."""

    def __init__(self, tokenizer: tokenizers.Tokenizer):
        self._tokenizer = tokenizer
        self._words: tuple[str, ...] | None = None
        self._is_word: np.ndarray | None = None

    @classmethod
    def train(cls, texts: Iterable[str], vocabulary_size: int = DEFAULT_VOCABULARY_SIZE) -> Self:
        """Builds the vocabulary from the most frequent words of `texts`, read once, in a stream.

        Words of equal frequency are taken in the order of their code points, so the vocabulary
        depends on the multiset of texts alone: not on their order, nor on the number of threads.
        Memory grows with the number of different words, not of texts.

        Args:
          texts: the overviews of the train split.
          vocabulary_size: ids in all, including padding and unknown; at least 2.

        Raises:
          UserError: `vocabulary_size` is below 2.
        """
        num_special = len(_SPECIAL_WORDS)
        if vocabulary_size < num_special:
            raise UserError(f"the vocabulary size is {vocabulary_size}; it must be at least 2")
        counter = _tokenizer({})
        counter.train_from_iterator(
            (_without_surrogates(text) for text in texts),
            trainers.WordLevelTrainer(
                vocab_size=vocabulary_size - num_special, special_tokens=[], show_progress=False
            ),
        )
        words = sorted(counter.get_vocab().items(), key=lambda item: item[1])
        words = words[: vocabulary_size - num_special]
        return cls(
            _tokenizer(
                _SPECIAL_WORDS
                | {word: rank for rank, (word, _) in enumerate(words, start=num_special)}
            )
        )

    @classmethod
    def load(cls, path: epath.PathLike) -> Self:
        """Reads what `save` wrote.

        Only the vocabulary is taken from the file, and the rest must be what `save` writes: in the
        library's format a file can ask for endless padding, growing replacements and regular
        expressions that take forever.

        Raises:
          UserError: the file is missing, damaged, or not written by this program.
        """
        try:
            with epath.Path(path).open("rb") as file:
                data = file.read(_MAX_BYTES + 1)
        except OSError as error:
            raise UserError(f"the tokenizer {path} cannot be read ({error.strerror})") from error
        if len(data) > _MAX_BYTES:
            raise UserError(
                f"{path} is no tokenizer of this program: it has over {_MAX_BYTES:,} bytes"
            )
        try:
            form = json.loads(data)
            vocabulary = form["model"].pop("vocab")
            form["model"]["vocab"] = {}
            if form.get("padding") == _PADDING:
                form["padding"] = None
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
            raise UserError(
                f"{path} is no tokenizer file, or is damaged ({first_line(error)}); give the "
                "tokenizer.json of a prepared data set"
            ) from error
        if any(form.get(name) != part for name, part in _form().items()):
            raise UserError(
                f"{path} is not a tokenizer of this program: it splits words in another way"
            )
        _check_vocabulary(path, vocabulary)
        return cls(_tokenizer(vocabulary))

    def save(self, path: epath.PathLike) -> None:
        """Writes one JSON file, atomically; the same vocabulary gives the same bytes."""
        form = json.loads(self._tokenizer.to_str()) | {"padding": _PADDING}
        files.write_text(path, _as_text(form))

    @property
    def vocabulary_size(self) -> int:
        """Ids in the vocabulary, padding and unknown included."""
        return self._tokenizer.get_vocab_size()

    @property
    def words(self) -> tuple[str, ...]:
        """The word of each id."""
        if self._words is None:
            words = sorted(self._tokenizer.get_vocab().items(), key=lambda item: item[1])
            self._words = tuple(word for word, _ in words)
        return self._words

    def count_words(self, tokens: np.ndarray) -> tuple[int, int]:
        """Returns how many of the tokens <int32>[n] are words, and how many of these are unknown.

        Punctuation is none; a symbol that is not in the vocabulary cannot be told from a word.
        """
        if self._is_word is None:
            self._is_word = np.array([any(map(str.isalnum, word)) for word in self.words])
            self._is_word[schema.PAD_ID] = False
        return int(self._is_word[tokens].sum()), int((tokens == schema.UNKNOWN_ID).sum())

    def encode(self, text: str) -> np.ndarray:
        """Returns <int32>[num_tokens], the ids of the text's words; any string is welcome."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Iterable[str]) -> list[np.ndarray]:
        """Returns what `encode` would for each text, faster: on several threads."""
        return [
            np.array(encoding.ids, np.int32)
            for batch in _batches(map(_without_surrogates, texts), _BATCH)
            for encoding in self._tokenizer.encode_batch_fast(batch, add_special_tokens=False)
        ]

    def spans(self, text: str) -> list[tuple[int, str, int, int]]:
        """Returns (id, word, start, end) of each token of `encode(text)`, in order.

        `word` is the piece of `text` that the token was made from: `text[start:end]`.
        """
        encoding = self._tokenizer.encode(_without_surrogates(text), add_special_tokens=False)
        return [
            (id_, text[start:end], start, end)
            for id_, (start, end) in zip(encoding.ids, encoding.offsets, strict=True)
        ]


def _tokenizer(vocabulary: dict[str, int]) -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN_WORD))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Lowercase(),
            # Soft hyphens, marks of direction and byte order marks sit invisibly inside words.
            normalizers.Replace(tokenizers.Regex(r"[\x{AD}\x{200B}\x{200E}\x{200F}\x{FEFF}]"), ""),
            normalizers.Replace(tokenizers.Regex(r"\x{FFFD}"), " "),
            normalizers.Replace(tokenizers.Regex(r"[\x{2018}\x{2019}\x{2BC}]"), "'"),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(
        tokenizers.Regex(_WORD_PATTERN), behavior="removed", invert=True
    )
    return tokenizer


def tokenizer_digest(path: epath.PathLike) -> str:
    """SHA-256 of a tokenizer's file, in hexadecimal.

    Of the file without its padding token: files of older programs name none, and the tokenizer is
    the same.

    Raises:
      OSError: the file cannot be read.
    """
    named, unnamed = (_as_text({"padding": value})[1:-1].encode() for value in (_PADDING, None))
    data = epath.Path(path).read_bytes()
    return hashlib.sha256(data.replace(named.rstrip(), unnamed.rstrip(), 1)).hexdigest()


def _as_text(form: Mapping[str, Any]) -> str:
    return json.dumps(form, ensure_ascii=False, indent=1, allow_nan=False)


def _form() -> dict[str, Any]:
    """The file of a tokenizer without words."""
    return json.loads(_tokenizer({}).to_str())


def _check_vocabulary(path: epath.PathLike, vocabulary: Any) -> None:
    if not (
        isinstance(vocabulary, dict)
        and all(type(id_) is int for id_ in vocabulary.values())
        and all(len(word) <= _MAX_WORD for word in vocabulary)
        and sorted(vocabulary.values()) == list(range(len(vocabulary)))
    ):
        raise UserError(
            f"{path} is damaged: the ids of its words are not 0, 1, 2 and so on; give the "
            "tokenizer.json of a prepared data set"
        )
    if any(vocabulary.get(word) != id_ for word, id_ in _SPECIAL_WORDS.items()):
        raise UserError(
            f"{path} is not a tokenizer of this program: its ids 0 and 1 are not "
            f"{PAD_WORD} and {UNKNOWN_WORD}"
        )


def _without_surrogates(text: str) -> str:
    """Replaces lone surrogates, which UTF-8 cannot carry; keeps the length, and so the spans."""
    return _SURROGATES.sub("\ufffd", text)


def _batches(texts: Iterator[str], size: int) -> Iterator[list[str]]:
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
