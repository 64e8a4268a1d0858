"""The table of posters, damaged or made by somebody else: a line, or what is true."""

import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from data_prep.posters.http_client import MISSING, Answer
from data_prep.posters.manifest import Manifest
from data_prep.posters.store_process import Storing
from mmgenre.errors import UserError
from tests.commands import run_several
from tests.movie_files import make
from tests.poster_server import PosterServer, serve

WIDTHS = ("w154", "w92")
NUM_ROWS = 3_000
TABLE = "manifest.sqlite"
FOUND = Answer(b"x" * 9, "w154", "")


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A manifest of many posters, of which a few are stored."""
    folder = tmp_path_factory.mktemp("manifest")
    with Manifest(folder, WIDTHS) as manifest:
        for start in range(0, NUM_ROWS, 500):
            manifest.store(
                [
                    (f"/{n:05d}.jpg", Answer(None, "", MISSING) if n % 100 else FOUND)
                    for n in range(start, start + 500)
                ]
            )
    return folder


def use(folder: Path) -> None:
    """What a preparation does with it; nothing but a UserError of a line may come of it."""
    try:
        with Manifest(folder, WIDTHS) as manifest:
            found = manifest.locate_all([f"/{n:05d}.jpg" for n in range(0, NUM_ROWS, 7)])
            for path, reason in filter(None, found.values()):
                assert isinstance(reason, str)
                assert not path or Path(path).parent in {folder / width for width in WIDTHS}
            manifest.forget_failures(temporary_only=False)
            with Storing(manifest) as storing:
                for n in range(100):
                    storing.put(f"/new{n}.jpg", FOUND)
    except UserError as error:
        assert "\n" not in str(error) and len(str(error)) < 500
        assert TABLE in str(error) or "cannot store posters" in str(error)
    # The posters themselves stay.
    assert len(list((folder / "w154").glob("0*.jpg"))) == NUM_ROWS // 100


def damage(data: bytes, rng: random.Random) -> bytes:
    changed, page = bytearray(data), 4096
    how = rng.choice(["flip", "flip", "page", "zeros", "cut", "swap"])
    place = rng.randrange(len(changed))
    start = place // page * page
    if how == "flip":
        for _ in range(rng.randint(1, 8)):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    elif how == "page":
        changed[start : start + page] = rng.randbytes(page)
    elif how == "zeros":
        changed[start : start + page] = bytes(page)
    elif how == "cut":
        del changed[place:]
    else:
        other = rng.randrange(len(changed) // page) * page
        changed[start : start + page] = changed[other : other + page]
    return bytes(changed)


def check_damaged(whole: Path, folder: Path, seed: int) -> None:
    shutil.copytree(whole, folder)
    (folder / TABLE).write_bytes(damage((whole / TABLE).read_bytes(), random.Random(seed)))
    use(folder)


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_table_is_a_line_or_harmless(whole, tmp_path, seed):
    check_damaged(whole, tmp_path / "damaged", seed)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [range(start, start + 50) for start in range(100, 300, 50)])
def test_many_damaged_tables(whole, tmp_path, seeds):
    for seed in seeds:
        check_damaged(whole, tmp_path / str(seed), seed)
        shutil.rmtree(tmp_path / str(seed))


ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
SCHEMAS = {
    "an endless view": f"CREATE VIEW posters AS {ENDLESS} SELECT x AS path, '' AS status,"
    " 'w154' AS width, 1 AS size FROM c",
    "a trigger": "CREATE TABLE posters (path TEXT PRIMARY KEY, status TEXT NOT NULL,"
    " width TEXT NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID;"
    f"CREATE TRIGGER t AFTER INSERT ON posters BEGIN INSERT INTO posters {ENDLESS}"
    " SELECT x, '', '', 0 FROM c; END",
    "another table": "CREATE TABLE posters (path)",
    "a table too many": "CREATE TABLE others (path)",
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_table_of_another_form_is_refused(tmp_path, name):
    connection = sqlite3.connect(tmp_path / TABLE)
    connection.executescript(SCHEMAS[name])
    connection.close()
    with pytest.raises(UserError, match=r"manifest\.sqlite is damaged .* delete it"):
        Manifest(tmp_path, WIDTHS)


@pytest.mark.parametrize("width", ["../../others", "w500", "/etc", ""])
def test_a_row_leads_nowhere_else(tmp_path, width):
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "a.jpg").write_bytes(b"x")
    folder = tmp_path / "images" / "0123"
    with Manifest(folder, WIDTHS) as manifest:
        manifest._connection.execute("INSERT INTO posters VALUES ('/a.jpg', '', ?, 1)", [width])
        assert manifest.locate("/a.jpg") is None


@pytest.mark.slow
def test_preparing_with_a_damaged_table_is_a_line(tmp_path):
    metadata, posters = make(tmp_path, 60, range(1, 50))
    with serve(PosterServer(posters)) as server:
        command = ["--metadata", metadata, "--posters", server.base, "--progress", "none"]
        command += ["--out", tmp_path / "out", "--fallback-widths", "none"]
        ((code, _, errors),) = run_several("data_prep.prepare", [command])
        assert code == 0, errors
        (table,) = (tmp_path / "out" / ".work").rglob(TABLE)
        data = table.read_bytes()
        for damaged in (b"x" * len(data), data[:100] + bytes(len(data) - 100), data[:5000]):
            table.write_bytes(damaged)
            ((code, _, errors),) = run_several("data_prep.prepare", [[*command, "--ask-again"]])
            assert code == 2 and errors.count("\n") == 1, errors
            assert f"{table} is damaged" in errors
            table.unlink()  # As it says.
            for leftover in ("-wal", "-shm"):
                Path(f"{table}{leftover}").unlink(missing_ok=True)
            ((code, _, errors),) = run_several("data_prep.prepare", [command])
            assert code == 0, errors
