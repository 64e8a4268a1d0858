"""The tokenizer: every script, every odd character, the same vocabulary every time."""

import hashlib
import json
import random
import subprocess
import sys

import numpy as np
import pytest
import tokenizers

from mmgenre import schema
from mmgenre.errors import UserError
from mmgenre.inputs.tokenizer import PAD_WORD, UNKNOWN_WORD, OverviewTokenizer, tokenizer_digest

TEXTS = [
    "The dog, the cat's friend.",
    "The dog sees THE cat!",
    "東京の物語",
    "Amélie, ame\u0301lie",
]


@pytest.fixture
def tokenizer():
    return OverviewTokenizer.train(TEXTS, 100)


def test_special_ids_come_first(tokenizer):
    assert tokenizer.words[schema.PAD_ID] == PAD_WORD
    assert tokenizer.words[schema.UNKNOWN_ID] == UNKNOWN_WORD
    assert tokenizer.vocabulary_size == len(tokenizer.words) < 100


@pytest.mark.parametrize(
    "text, words",
    [
        ("The DOG", ["the", "dog"]),
        ("dog,cat", ["dog", ",", "cat"]),
        ("the cat’s", ["the", "cat", "'s"]),
        ("東京", ["東", "京"]),
        ("AME\u0301LIE amélie", ["amélie", "amélie"]),
        ("ca\u00adt\ufeff", ["cat"]),
        ("", []),
        (" \t\n\x00 ", []),
        ("zebra", [UNKNOWN_WORD]),
        ("[PAD]", [UNKNOWN_WORD] * 3),
    ],
)
def test_words(tokenizer, text, words):
    ids = tokenizer.encode(text)
    assert ids.dtype == np.int32 and ids.ndim == 1
    assert [tokenizer.words[id_] for id_ in ids] == words


def test_any_string_is_welcome(tokenizer):
    rng = random.Random(0)
    texts = ["".join(chr(rng.randrange(0x11000)) for _ in range(200)) for _ in range(20)]
    texts += [
        "\ud800",
        "dog \udfff dog",
        "\x00" * 10,
        "a" * 100_000,
        "🎬🎥 \U0001f468\u200d\U0001f469",
    ]
    for text, ids in zip(texts, tokenizer.encode_batch(texts), strict=True):
        assert np.array_equal(ids, tokenizer.encode(text))
        assert schema.PAD_ID not in ids
    assert tokenizer.encode("dog \udfff dog").tolist() == tokenizer.encode("dog dog").tolist()


def test_spans_point_into_the_text(tokenizer):
    text = "The\ud800 ﬁne  CAT’s 東京 ame\u0301lie"
    spans = tokenizer.spans(text)
    assert [id_ for id_, *_ in spans] == tokenizer.encode(text).tolist()
    assert [word for _, word, _, _ in spans] == [
        "The",
        "ﬁne",
        "CAT",
        "’s",
        "東",
        "京",
        "ame\u0301lie",
    ]
    assert all(text[start:end] == word for _, word, start, end in spans)


def test_the_vocabulary_is_the_most_frequent_words_ties_by_code_point():
    texts = ["b b b", "a c", "z z", "é d"]
    tokenizer = OverviewTokenizer.train(texts, 6)
    assert tokenizer.words[2:] == ("b", "z", "a", "c")
    assert OverviewTokenizer.train(reversed(texts), 6).words == tokenizer.words


def test_the_same_file_whatever_the_order_and_the_threads(tmp_path):
    rng = random.Random(1)
    words = [f"w{n}" for n in range(2000)]
    texts = [" ".join(rng.choices(words, k=30)) for _ in range(500)]
    (tmp_path / "texts").write_text("\n".join(texts))
    code = (
        "import sys; from mmgenre.inputs.tokenizer import OverviewTokenizer as T; "
        "T.train(open(sys.argv[1]).read().splitlines(), 1500).save(sys.argv[2])"
    )
    for threads in ("1", "4"):
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "texts"), str(tmp_path / threads)],
            env={"RAYON_NUM_THREADS": threads, "PYTHONPATH": ":".join(sys.path)},
            check=True,
        )
    rng.shuffle(texts)
    OverviewTokenizer.train(texts, 1500).save(tmp_path / "here")
    assert len({(tmp_path / name).read_bytes() for name in ("1", "4", "here")}) == 1


def test_saved_and_loaded(tmp_path, tokenizer):
    tokenizer.save(tmp_path / "t.json")
    loaded = OverviewTokenizer.load(tmp_path / "t.json")
    assert loaded.words == tokenizer.words
    for text in TEXTS:
        assert np.array_equal(loaded.encode(text), tokenizer.encode(text))
    assert [path.name for path in tmp_path.iterdir()] == ["t.json"]


@pytest.mark.parametrize("content", [None, "", "{}", '{"version": "1.0"}', "\x00\x01"])
def test_a_missing_or_damaged_file_is_the_users_mistake(tmp_path, content):
    if content is not None:
        (tmp_path / "t.json").write_text(content)
    with pytest.raises(UserError, match=r"t\.json"):
        OverviewTokenizer.load(tmp_path / "t.json")


def test_another_programs_tokenizer_is_refused(tmp_path):
    import tokenizers

    tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0}, unk_token="a")).save(
        str(tmp_path / "t.json")
    )
    with pytest.raises(UserError, match="not a tokenizer of this program"):
        OverviewTokenizer.load(tmp_path / "t.json")


def test_the_file_names_the_padding_token_and_its_digest_is_that_of_a_file_without(
    tmp_path, tokenizer
):
    """As files of older programs are: their data sets, runs and bundles are read as ever."""
    tokenizer.save(tmp_path / "new.json")
    form = json.loads((tmp_path / "new.json").read_text("utf-8"))
    assert form["padding"]["pad_token"] == "[PAD]" and form["padding"]["pad_id"] == 0
    old = json.dumps(form | {"padding": None}, ensure_ascii=False, indent=1)
    (tmp_path / "old.json").write_text(old, "utf-8")
    digest = hashlib.sha256(old.encode()).hexdigest()
    assert (
        tokenizer_digest(tmp_path / "new.json") == tokenizer_digest(tmp_path / "old.json") == digest
    )
    for name in ("new.json", "old.json"):
        loaded = OverviewTokenizer.load(tmp_path / name)
        short, long = loaded.encode_batch(["a boy", "a boy finds a map"])
        assert len(short) == 2 and len(long) == 5  # Padding is for other programs.

    other = tokenizers.Tokenizer.from_file(str(tmp_path / "new.json"))
    short, long = (encoding.ids for encoding in other.encode_batch(["a boy", "a boy finds a map"]))
    assert len(short) == len(long) == 5 and short[2:] == [0, 0, 0]
