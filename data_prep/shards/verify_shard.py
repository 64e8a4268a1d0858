"""Every record of one shard, checked."""

import dataclasses
import hashlib
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from etils import epath
from google.protobuf.message import DecodeError

from data_prep.metadata import clean_row
from data_prep.shards.example import Example
from data_prep.shards.records import record_digest
from data_prep.workspace import pixel_parts
from mmgenre import schema
from mmgenre.dataset import tfrecord
from mmgenre.errors import UserError
from mmgenre.inputs import overview_text
from mmgenre.inputs.tokenizer import OverviewTokenizer

_POSTER_BYTES: Final = int(np.prod(schema.POSTER_SHAPE))
_BYTES_FEATURES: Final = (schema.POSTER, schema.ID, schema.TITLE, schema.OVERVIEW)


@dataclasses.dataclass(frozen=True)
class ShardTask:
    """Which shard to check, and against what.

    Attributes:
      path: of the shard.
      tokenizer: path of the tokenizer; "" where it is damaged.
      size: bytes that the shard should have.
    """

    path: str
    tokenizer: str
    size: int


@dataclasses.dataclass
class ShardReport:
    """What was found in a shard.

    Attributes:
      problems: a line each, with shard and record.
      num_records: that could be read.
      offset: of each record's Example.
      num_bytes: of each record's Example.
      num_tokens: of each record.
      genre_counts: <int64>[18].
      keys: by kind, <uint64>[num_records]: what copies are recognised by; 0 without.
      contents: SHA-256 over the records' contents.
    """

    problems: list[str]
    num_records: int = 0
    offset: Any = dataclasses.field(default_factory=list)
    num_bytes: Any = dataclasses.field(default_factory=list)
    num_tokens: Any = dataclasses.field(default_factory=list)
    genre_counts: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros(schema.NUM_GENRES, np.int64)
    )
    keys: dict[str, Any] = dataclasses.field(
        default_factory=lambda: {"id": [], "overview": [], "poster": []}
    )
    contents: bytes = b""


def verify_shard(task: ShardTask) -> ShardReport:
    """Reads and checks one shard; damage goes into the report, never raises."""
    report = ShardReport([])
    path = epath.Path(task.path)
    contents = hashlib.sha256()
    try:
        tokenizer = OverviewTokenizer.load(task.tokenizer) if task.tokenizer else None
        with path.open("rb") as file:
            for (record, offset), data, damage in tfrecord.scan(file):
                if damage:
                    report.problems.append(f"{path.name} record {record}: {damage}")
                    continue
                try:
                    example = Example.FromString(data)
                except DecodeError:
                    report.problems.append(f"{path.name} record {record}: not an Example")
                    continue
                problems = list(_record_problems(example, tokenizer))
                report.problems += [f"{path.name} record {record}: {text}" for text in problems]
                report.num_records += 1
                report.offset.append(offset + tfrecord.HEADER_BYTES)
                report.num_bytes.append(len(data))
                contents.update(record_digest(example))
                _count(example, report, bool(problems))
            size = file.tell()
        if size != task.size and not report.problems:
            report.problems.append(f"{path.name}: {size:,} bytes instead of {task.size:,}")
    except (OSError, UserError) as error:
        report.problems.append(f"{path.name}: cannot be read ({error})")
    report.contents = contents.digest()
    report.offset = np.array(report.offset, np.int64)
    report.num_bytes = np.array(report.num_bytes, np.int32)
    report.num_tokens = np.array(report.num_tokens, np.int32)
    report.keys = {kind: np.array(keys, np.uint64) for kind, keys in report.keys.items()}
    return report


def _record_problems(example: Any, tokenizer: OverviewTokenizer | None) -> Iterator[str]:
    feature = example.features.feature
    if set(feature) != set(schema.RECORD_FEATURES):
        yield f"its features are {', '.join(sorted(feature))}"
        return
    for name in schema.RECORD_FEATURES:
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
    if len(labels) != schema.NUM_GENRES or not set(labels) <= {0, 1}:
        yield "the labels are not 18 zeros and ones"
    elif not any(labels):
        yield "it has no genre"
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


def _count(example: Any, report: ShardReport, is_damaged: bool) -> None:
    feature = example.features.feature
    report.num_tokens.append(len(feature[schema.TOKENS].int64_list.value))
    if is_damaged:
        return
    report.genre_counts += np.array(feature[schema.LABELS].int64_list.value)
    overview = feature[schema.OVERVIEW].bytes_list.value[0].decode("utf-8")
    overview = overview_text.normalise(overview)
    has_poster = feature[schema.HAS_POSTER].int64_list.value[0]
    poster = feature[schema.POSTER].bytes_list.value[0]
    report.keys["id"].append(clean_row.text_digest(feature[schema.ID].bytes_list.value[0].decode()))
    report.keys["overview"].append(clean_row.text_digest(overview))
    report.keys["poster"].append(pixel_parts.pixels_digest(poster) if has_poster else 0)
