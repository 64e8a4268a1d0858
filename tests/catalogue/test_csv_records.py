"""CSV records: none is lost, whatever the quoting, in linear time."""

import csv
import io
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmgenre.catalogue import csv_records
from mmgenre.catalogue.table import open_table
from mmgenre.errors import UserError
from mmgenre.inputs import overview_text


def read(text: str) -> list[list[str]]:
    return list(csv_records.records(io.StringIO(text, newline=""), "the file"))


def read_slowly(text: str) -> list[list[str]]:
    """The same rule without memory: each record is tried against all that follows it."""
    lines = text.splitlines(keepends=True)
    found = []
    while lines:
        taken = []

        def take(taken=taken, lines=lines):
            for line in lines:
                taken.append(line)
                yield line

        try:
            row = next(csv.reader(take(), strict=True))
        except csv.Error:
            found.append([lines[0]])
            del lines[0]
            continue
        del lines[: len(taken)]
        if row:
            found.append(row)
    return found


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(['"', ",", "x", "\n", '""', ' "', '",', ',"']), max_size=40))
def test_records_are_those_of_the_slow_reader(pieces):
    text = "".join(pieces)
    assert read(text) == read_slowly(text)


def test_open_quotation_marks_take_linear_time():
    """Each line reads as the rest of a cell until the file ends: half an hour, if quadratic."""
    lines = ['x","\n'] * 160_000
    found = read("id,overview\n" + "".join(lines) + 'a,"b\nc"\n')
    assert len(found) == 1 + len(lines) + 1
    assert found[0] == ["id", "overview"]
    assert found[-1] == ["a", "b\nc"]
    assert all(isinstance(row, csv_records.BrokenRecord) for row in found[1:-1])


@pytest.mark.parametrize("method", ["deflated", "bzip2", "lzma", "unknown"])
def test_a_damaged_zip_is_said_to_be_damaged(tmp_path, method):
    path = tmp_path / "movies.zip"
    kind = getattr(zipfile, f"ZIP_{method.upper()}", zipfile.ZIP_STORED)
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("movies_metadata.csv", "".join(f"{n},{n * n}\n" for n in range(20_000)))
    data = bytearray(path.read_bytes())
    if method == "unknown":
        for header, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
            place = data.index(header) + offset
            data[place : place + 2] = (77).to_bytes(2, "little")
    else:
        for place in range(200, len(data) - 200, 101):
            data[place] ^= 0xA5
    path.write_bytes(data)
    with (
        pytest.raises(UserError, match=r"damaged or truncated archive|method is not supported"),
        open_table(path) as table,
    ):
        list(table.rows([]))


def test_an_error_of_the_disk_is_no_damage_of_the_archive(tmp_path):
    path = tmp_path / "movies.csv"
    path.write_text("id\n1\n")
    with pytest.raises(OSError, match="No space left"), open_table(path):
        raise OSError(28, "No space left on device")


def test_alternating_marks_are_normalised_in_linear_time():
    """Sorting a run of marks is quadratic: 10 seconds for an overview of the longest kind."""
    text = "a" + "\u0301\u0323" * (overview_text.MAX_CHARACTERS // 2) + " b"
    assert overview_text.normalise(text).endswith("b")


@pytest.mark.parametrize(
    "text", ["cafe\u0301 de\u0323\u0301", "\u1112\u1161\u11ab\u1100\u1173\u11af"]
)
def test_long_texts_are_normalised_as_short_ones(text):
    words = overview_text.normalise(text)
    assert overview_text.normalise(f"{text} " * 1_000) == " ".join([words] * 1_000)
