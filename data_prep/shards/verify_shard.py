"""Every record of one shard, checked."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from etils import epath
from google.protobuf.message import DecodeError

from data_prep.metadata import clean_row
from data_prep.shards.example import Example
from data_prep.shards.shard_facts import FactsCollector, ShardFacts
from data_prep.workspace import pixel_parts
from mmgenre import schema
from mmgenre.dataset import tfrecord
from mmgenre.errors import UserError
from mmgenre.inputs import overview_text
from mmgenre.inputs.tokenizer import OverviewTokenizer

_POSTER_BYTES: Final = int(np.prod(schema.POSTER_SHAPE))
_BYTES_FEATURES: Final = (schema.POSTER, schema.ID, schema.TITLE, schema.OVERVIEW, *schema.VECTORS)


@dataclasses.dataclass(frozen=True)
class VerifyTask:
    """Which shard to check, and against what.

    Attributes:
      path: of the shard.
      tokenizer: path of the tokenizer; "" where it is damaged.
      size: bytes that the shard should have.
      num_genres: of the data set.
      vector_sizes: of its vectors, by feature.
    """

    path: str
    tokenizer: str
    size: int
    num_genres: int
    vector_sizes: Mapping[str, int]


@dataclasses.dataclass(frozen=True)
class ShardReport:
    """What was found in a shard.

    Attributes:
      problems: a line each, with shard and record.
      facts: of the records that could be read.
      keys: by kind, <uint64>[num_sound_records]: what copies are recognised by; 0 without.
    """

    problems: list[str]
    facts: ShardFacts
    keys: dict[str, np.ndarray]


def verify_shard(task: VerifyTask) -> ShardReport:
    """Reads and checks one shard; damage goes into the report, never raises."""
    path, size = epath.Path(task.path), 0
    problems: list[str] = []
    collector, keys = FactsCollector(task.num_genres), _CopyKeys()
    try:
        tokenizer = OverviewTokenizer.load(task.tokenizer) if task.tokenizer else None
        with path.open("rb") as file:
            for (record, offset), data, damage in tfrecord.scan(file):
                example = None if damage else _parse(data)
                found = [damage or "not an Example"]
                if example is not None:
                    found = list(_record_problems(example, tokenizer, task))
                    start = offset + tfrecord.HEADER_BYTES
                    collector.add(start, len(data), example, is_sound=not found)
                    if not found:
                        keys.add(example)
                problems += [f"{path.name} record {record}: {text}" for text in found]
            size = file.tell()
        if size != task.size and not problems:
            problems.append(f"{path.name}: {size:,} bytes instead of {task.size:,}")
    except (OSError, UserError) as error:
        problems.append(f"{path.name}: cannot be read ({error})")
    return ShardReport(problems, collector.facts(size), keys.arrays())


def _parse(data: bytes) -> Any:
    try:
        return Example.FromString(data)
    except DecodeError:
        return None


def _record_problems(
    example: Any, tokenizer: OverviewTokenizer | None, task: VerifyTask
) -> Iterator[str]:
    feature, num_genres = example.features.feature, task.num_genres
    names = (*schema.RECORD_FEATURES, *task.vector_sizes)
    if set(feature) != set(names):
        yield f"its features are {', '.join(sorted(feature))}"
        return
    for name in names:
        is_bytes = name in _BYTES_FEATURES
        kind = feature[name].WhichOneof("kind") or ("" if is_bytes else "int64_list")
        if kind != ("bytes_list" if is_bytes else "int64_list"):
            yield f"{name} is of the wrong kind ({kind or 'empty'})"
            return
        if is_bytes and len(feature[name].bytes_list.value) != 1:
            yield f"{name} has {len(feature[name].bytes_list.value)} values instead of one"
            return
    poster = feature[schema.POSTER].bytes_list.value[0]
    has_poster = list(feature[schema.HAS_POSTER].int64_list.value)
    labels = list(feature[schema.LABELS].int64_list.value)
    if len(poster) != _POSTER_BYTES:
        yield f"the poster has {len(poster):,} bytes instead of {_POSTER_BYTES:,}"
    if has_poster not in ([0], [1]):
        yield f"has_poster is {has_poster}"
    if has_poster == [0] and any(poster):
        yield "has_poster is 0, but the poster is not black"
    if len(labels) != num_genres or not set(labels) <= {0, 1}:
        yield f"the labels are not {num_genres:,} zeros and ones"
    elif not any(labels):
        yield "it has no genre"
    yield from _vector_problems(example, task.vector_sizes)
    try:
        overview = feature[schema.OVERVIEW].bytes_list.value[0].decode("utf-8")
        feature[schema.TITLE].bytes_list.value[0].decode("utf-8")
        feature[schema.ID].bytes_list.value[0].decode("utf-8")
    except UnicodeDecodeError:
        yield "id, title or overview is not UTF-8"
        return
    if not feature[schema.ID].bytes_list.value[0]:
        yield "it has no id"
    yield from _token_problems(feature[schema.TOKENS].int64_list.value, overview, tokenizer)


def _vector_problems(example: Any, vector_sizes: Mapping[str, int]) -> Iterator[str]:
    feature = example.features.feature
    has = {
        schema.POSTER_VECTOR: list(feature[schema.HAS_POSTER].int64_list.value) == [1],
        schema.OVERVIEW_VECTOR: bool(feature[schema.OVERVIEW].bytes_list.value[0]),
    }
    for name, size in vector_sizes.items():
        data = feature[name].bytes_list.value[0]
        if len(data) != 2 * size or not np.isfinite(np.frombuffer(data, "<f2")).all():
            yield f"{name} is not {size:,} finite numbers of 16 bits"
        elif any(data) and not has[name]:
            yield f"{name} is not zero, but the movie has no such half"


def _token_problems(
    tokens: Any, overview: str, tokenizer: OverviewTokenizer | None
) -> Iterator[str]:
    if tokenizer is None:
        return
    if any(not schema.PAD_ID < token < tokenizer.vocabulary_size for token in tokens):
        yield f"a token is outside 1 ... {tokenizer.vocabulary_size - 1:,}"
    elif not np.array_equal(tokens, tokenizer.encode(overview)[: len(tokens)]) or (
        overview and not tokens and len(tokenizer.encode(overview))
    ):
        yield "the tokens are not those of the overview"


class _CopyKeys:
    """What copies are recognised by: by kind one number of 64 bits for each record, 0 without."""

    def __init__(self) -> None:
        self._keys: dict[str, list[int]] = {"id": [], "overview": [], "poster": []}

    def add(self, example: Any) -> None:
        """Adds a sound record."""
        feature = example.features.feature
        id_, overview, poster = (
            feature[name].bytes_list.value[0]
            for name in (schema.ID, schema.OVERVIEW, schema.POSTER)
        )
        has_poster = feature[schema.HAS_POSTER].int64_list.value[0]
        words = overview_text.normalise(overview.decode("utf-8"))
        self._keys["id"].append(clean_row.text_digest(id_.decode("utf-8")))
        self._keys["overview"].append(clean_row.text_digest(words))
        self._keys["poster"].append(pixel_parts.pixels_digest(poster) if has_poster else 0)

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns <uint64>[num_records] by kind."""
        return {kind: np.array(keys, np.uint64) for kind, keys in self._keys.items()}
