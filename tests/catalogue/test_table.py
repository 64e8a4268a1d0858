"""Catalogues in all their forms: the same rows, whatever they are written in."""

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from mmgenre.catalogue.damaged_row import DamagedRow
from mmgenre.catalogue.table import open_table
from mmgenre.errors import UserError

ROWS = [
    {"id": "1", "title": "Café; one, two | three", "overview": 'He said "no".', "genres": "Drama"},
    {"id": "2", "title": "Two\nlines", "overview": "A\ttab.", "genres": "Comedy|Drama"},
    {"id": "3", "title": "", "overview": "", "genres": ""},
]
NAMES = list(ROWS[0])
CELLS = [list(row.values()) for row in ROWS]


def csv_text(delimiter: str, end: str = "\n") -> str:
    import csv

    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end)
    writer.writerow(NAMES)
    writer.writerows(CELLS)
    return out.getvalue()


def parquet() -> bytes:
    pyarrow = pytest.importorskip("pyarrow")
    parquet_files = pytest.importorskip("pyarrow.parquet")

    out = io.BytesIO()
    parquet_files.write_table(pyarrow.Table.from_pylist(ROWS), out)
    return out.getvalue()


def zipped(name: str, data: bytes, **others: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in {name: data, **others}.items():
            archive.writestr(member, content)
    return out.getvalue()


JSON_LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
FORMS: dict[str, tuple[str, Any]] = {
    "comma": ("m.csv", csv_text(",").encode()),
    "semicolon": ("m.csv", csv_text(";").encode()),
    "tab": ("m.tsv", csv_text("\t").encode()),
    "pipe": ("m.txt", csv_text("|").encode()),
    "crlf": ("m.csv", csv_text(",", "\r\n").encode()),
    "bom": ("m.csv", csv_text(",").encode("utf-8-sig")),
    "utf-16": ("m.csv", csv_text(";").encode("utf-16")),
    "utf-16 big end first": ("m.csv", b"\xfe\xff" + csv_text(";").encode("utf-16-be")),
    "utf-16 without a mark": ("m.csv", csv_text(",").encode("utf-16-le")),
    "windows-1252": ("m.csv", csv_text(",").encode("cp1252")),
    "json lines": ("m.jsonl", JSON_LINES.encode()),
    "json array": ("m.json", json.dumps(ROWS).encode()),
    "json array over lines": ("m.json", json.dumps(ROWS, indent=2).encode()),
    "json objects over lines": (
        "m.json",
        "\n".join(json.dumps(row, indent=1) for row in ROWS).encode(),
    ),
    "parquet": ("m.parquet", parquet),
    "gzip": ("m.csv.gz", gzip.compress(csv_text(";").encode())),
    "gzip of json": ("m.json.gz", gzip.compress(json.dumps(ROWS).encode())),
    "zip": ("m.zip", zipped("m.tsv", csv_text("\t").encode(), **{"read.me": b"x"})),
    "zip of json": ("m.zip", zipped("a/m.jsonl", JSON_LINES.encode())),
    "zip with Kaggle's name": (
        "m.zip",
        zipped("movies_metadata.csv", csv_text(",").encode(), **{"other.csv": b"a,b\n"}),
    ),
    "trailing empty columns": (
        "m.csv",
        csv_text(",", ",,\n").encode(),
    ),
}


def write(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    path.write_bytes(content() if callable(content) else content)
    return path


def read(path: Path, names: list[str] = NAMES) -> list[list[Any]]:
    with open_table(path) as table:
        return list(table.rows(names))


@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_the_same_rows(tmp_path, form):
    path = write(tmp_path, *FORMS[form])
    with open_table(path) as table:
        assert list(table.columns) == NAMES
        assert list(table.rows(NAMES)) == CELLS
        assert table.form
    assert read(path, ["genres", "id"]) == [[row["genres"], row["id"]] for row in ROWS]


@pytest.mark.parametrize("form", ["comma", "json array", "parquet"])
def test_a_folder_that_holds_one_table_is_that_table(tmp_path, form):
    write(tmp_path, *FORMS[form])
    (tmp_path / "posters").mkdir()
    (tmp_path / "notes.md").write_text("x")
    assert read(tmp_path) == CELLS


def test_quotation_marks_are_letters_in_tables_like_imdbs(tmp_path):
    path = write(tmp_path, "m.tsv", b'id\ttitle\tgenres\n1\t"Giliap\tDrama\n2\tB\t\\N\n')
    assert read(path, ["id", "title", "genres"]) == [["1", '"Giliap', "Drama"], ["2", "B", "\\N"]]


@pytest.mark.parametrize(
    "text, note",
    [
        ("café".encode("cp1252"), "read as Windows-1252"),
        ("caf\x8d".encode("latin-1"), "read as latin-1"),
        ("café".encode("utf-16"), "read as UTF-16"),
        ("café é".encode() + b"\xff", "1 bytes are no UTF-8"),
    ],
)
def test_other_encodings_are_noted(tmp_path, text, note):
    with open_table(
        write(tmp_path, "m.csv", text if b"\xff\xfe" in text else b"id,title\n1," + text)
    ) as table:
        assert any(note in found for found in table.notes)


def test_utf_8_needs_no_note(tmp_path):
    with open_table(write(tmp_path, *FORMS["comma"])) as table:
        assert table.notes == ()


@pytest.mark.parametrize(
    "name, content, damaged",
    [
        (
            "m.csv",
            'id,title\n1,a\n2,"b\n3,c\n4\n5,e,f\n6,g,\n',
            {1: "quoting", 3: "few", 4: "many"},
        ),
        ("m.jsonl", '{"id": 1}\n{"id": \n[3]\n{"id": 4}\n', {1: "not a JSON", 2: "not a JSON"}),
        ("m.json", '[{"id": 1}, 2, {"id": 3}]', {1: "not a JSON"}),
    ],
)
def test_a_damaged_row_is_no_lost_row(tmp_path, name, content, damaged):
    rows = read(write(tmp_path, name, content.encode()), ["id"])
    assert {n: row for n, row in enumerate(rows) if isinstance(row, DamagedRow)}.keys() == set(
        damaged
    )
    for number, reason in damaged.items():
        assert reason in rows[number].reason


@pytest.mark.parametrize(
    "name, content, said",
    [
        ("m.csv", b"", "is empty"),
        ("m.pdf", b"%PDF-1.7", "is a PDF"),
        ("m.db", b"SQLite format 3\0", "sqlite3 -header -csv"),
        ("m.xls", b"\xd0\xcf\x11\xe0" + bytes(20), "save it as CSV"),
        ("m.xlsx", zipped("[Content_Types].xml", b"x"), "save it as CSV"),
        ("m.zip", zipped("a.csv", b"x", **{"b.csv": b"x"}), "holds 2 tables (a.csv, b.csv)"),
        ("m.zip", zipped("a.png", b"x"), "holds no table"),
        ("m.zip", zipped("a.csv.gz", b"x"), "unpack the archive first"),
        ("m.csv.gz", gzip.compress(csv_text(",").encode() * 100)[:-20], "damaged or truncated"),
        ("m.zip", zipped("m.csv", csv_text(",").encode())[:-30], "damaged or truncated"),
        ("m.json", b'[{"id": 1}, {"id"', "damaged behind its JSON object number 1"),
        ("m.json", b'[{"id": 1}', "its JSON array has no end"),
        ("m.json", b"[" * 100_000, "damaged behind its JSON object number 0"),
        ("m.json", b"[1, 2]", "holds no JSON objects"),
        ("m.parquet", b"PAR1" + bytes(50), "damaged Parquet file"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_line(tmp_path, name, content, said):
    path = write(tmp_path, name, content)
    with pytest.raises(UserError) as refused:
        read(path, ["id"])
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_a_long_json_array_is_read_in_pieces(tmp_path):
    """Objects lie across the ends of what is read at once."""
    rows = [{"id": n, "overview": "x" * (n % 5_000)} for n in range(2_000)]
    path = write(tmp_path, "m.json", json.dumps(rows).encode())
    assert read(path, ["id", "overview"]) == [[r["id"], r["overview"]] for r in rows]


def movie_folder(folder: Path) -> Path:
    (folder / "dataset").mkdir()
    for name in ("01", "02", "03"):
        fields = {"title": f"T{name}", "plot": ["short", f"longest of {name}"], "genres": ["Drama"]}
        (folder / "dataset" / f"{name}.json").write_text(json.dumps(fields))
        (folder / "dataset" / f"{name}.jpeg").write_bytes(b"x")
    (folder / "split.json").write_text('{"train": ["01"], "dev": ["02"], "test": ["03"]}')
    return folder


def test_a_folder_with_a_file_for_each_movie(tmp_path):
    rows = read(movie_folder(tmp_path), ["id", "plot", "genres", "poster", "split"])
    assert rows[0] == ["01", "longest of 01", ["Drama"], "01.jpeg", "train"]
    assert [row[4] for row in rows] == ["train", "dev", "test"]


def test_a_folder_with_a_damaged_movie(tmp_path):
    folder = movie_folder(tmp_path)
    (folder / "dataset" / "02.json").write_text("{")
    rows = read(folder, ["id"])
    assert [isinstance(row, DamagedRow) for row in rows] == [False, True, False]


def test_a_damaged_split_is_said_in_a_line(tmp_path):
    (movie_folder(tmp_path) / "split.json").write_text("[1]")
    with pytest.raises(UserError, match=r"split\.json does not list movies"):
        read(tmp_path, ["id"])
