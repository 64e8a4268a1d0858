"""`prepare --label-corrections`: what a reader has accepted of a review's table."""

import csv
import json

import numpy as np
import pytest

from data_prep.metadata.corrections import CORRECTED, Corrections
from mmgenre import schema
from mmgenre.catalogue.genre_list import default_genres
from mmgenre.dataset.label_table import harmless, original
from mmgenre.dataset.prepared import PreparedDataset
from mmgenre.dataset.read_split import read_split
from mmgenre.errors import UserError
from tests.commands import run_module
from tests.conftest import prepare_tiny

HEADER = "id,genre,kind,accept\n"


def labels_of(dataset: PreparedDataset) -> dict[str, np.ndarray]:
    found = [read_split(dataset, split, "id", "labels") for split in dataset.info.splits]
    return {id_: row for part in found for id_, row in zip(*part.values(), strict=True)}


def test_accepted_rows_alone_change_labels(demo_corpus, tiny_dataset, tmp_path):
    before = labels_of(tiny_dataset)
    id_, other = [name for name, row in before.items() if 2 <= row.sum() < 5][:2]
    lost, kept = np.array(schema.GENRES)[before[id_].astype(bool)][:2]
    gained = schema.GENRES[int(np.flatnonzero(before[id_] == 0)[0])]
    path = tmp_path / "labels.csv"
    rows = [(id_, lost, "given", "Yes"), (id_, kept, "given", ""), (id_, gained, "missing", "x")]
    rows += [(other, gained, "missing", "no"), ("no such movie", kept, "missing", "yes")]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([HEADER.strip().split(","), *rows])
    corrected = prepare_tiny(demo_corpus, tmp_path / "out", label_corrections=str(path))
    after = labels_of(corrected)
    changed = {name: np.flatnonzero(row != after[name]).tolist() for name, row in before.items()}
    expected = sorted(map(schema.GENRES.index, (lost, gained)))
    assert {name: places for name, places in changed.items() if places} == {id_: expected}
    audit = json.loads((corrected.path / "audit.json").read_text())
    assert audit["rows"]["notes"][CORRECTED] >= 2
    assert corrected.info.tokenizer_sha256 == tiny_dataset.info.tokenizer_sha256
    verified = run_module("data_prep.verify", corrected.path)
    assert verified.returncode == 0, verified.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,genre,kind\n", "has no column 'accept'"),
        (HEADER + "1,Drama,given,maybe\n", "line 2: accept is 'maybe', not yes or no"),
        (HEADER + "1,Drama,wrong,yes\n", "line 2: kind is 'wrong', not given or missing"),
        (HEADER + "1,Drama\n", "line 2: the row is too short"),
        (HEADER + '1,"Drama,given,yes\n', "cannot read the label corrections"),
        (HEADER + "1,Opera,missing,yes\n", "the genre 'Opera', which is on no list"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path, text, message):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        Corrections.read(path).check(default_genres())


def test_ids_survive_spreadsheets():
    for text in ("=1+1", "-5", "tt1", "@a", "+49", "", "'", "'a"):
        assert original(harmless(text)) == text
