"""Places that posters are found in: widths, addresses of their own, ids, placeholders."""

from pathlib import Path

import numpy as np
import pytest

from data_prep.options import PrepareConfig
from data_prep.posters import placeholders
from data_prep.prepare import prepare
from mmgenre.dataset.prepared import open_dataset
from mmgenre.errors import UserError
from mmgenre.inputs import overview_text, poster_places
from tests import movie_files
from tests.poster_server import PosterServer, serve

NUMBERS = range(1, 31)


class Lines:
    """A progress that keeps what it is told."""

    def __init__(self):
        from data_prep.workspace.progress import Progress

        self.lines: list[str] = []
        self.progress = Progress("none")
        self.progress.note = self.lines.append


def prepared(tmp_path: Path, paths, posters, **options) -> tuple[dict, list[str]]:
    """Prepares movies with these poster cells; returns (statuses of posters, notes)."""
    rows = [movie_files.row(n, poster_path=path) for n, path in zip(NUMBERS, paths, strict=True)]
    metadata = movie_files.write_csv(tmp_path / "m.csv", rows)
    lines = Lines()
    options = {"backoff": 0.01, "timeout": 2.0, "tries": 2, "processes": 1} | options
    config = PrepareConfig(metadata, posters, tmp_path / "out", progress="none", **options)
    prepare(config, lines.progress)
    import json

    audit = json.loads((tmp_path / "out" / "audit.json").read_text())
    return {"": audit["posters"]["found"], **audit["posters"]["without"]}, lines.lines


def server_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "served"
    (folder / "w154").mkdir(parents=True)
    for number in NUMBERS:
        (folder / "w154" / f"poster{number}.jpg").write_bytes(movie_files.jpeg(number))
    return folder


def test_an_address_that_has_its_width_is_asked_for_that_width(tmp_path):
    with serve(PosterServer(server_folder(tmp_path))) as server:
        paths = [f"/poster{n}.jpg" for n in NUMBERS]
        found, _ = prepared(tmp_path, paths, f"{server.base}/w154/", fallback_widths=())
    assert found == {"": 30}
    assert set(server.log.requests) == {f"/w154/poster{n}.jpg" for n in NUMBERS}


def test_whole_addresses_are_fetched_as_they_are_and_the_image_servers_by_their_last_part(tmp_path):
    folder = server_folder(tmp_path)
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "a b.jpg").write_bytes(movie_files.jpeg(99))
    with serve(PosterServer(folder)) as server, serve(PosterServer(folder)) as other:
        paths = [f"https://image.tmdb.org/t/p/w500/poster{n}.jpg" for n in NUMBERS]
        paths[0] = f"{other.base}/elsewhere/a%20b.jpg?size=3"
        paths[1] = f"{other.base}/elsewhere/none.jpg"
        paths[2] = "http://"
        found, _ = prepared(tmp_path, paths, server.base, fallback_widths=())
    assert found == {"": 28, "missing: HTTP 404": 1, "no poster path in the metadata": 1}
    assert set(other.log.requests) == {"/elsewhere/a b.jpg", "/elsewhere/none.jpg"}
    assert len(server.log.requests) == 27


@pytest.mark.parametrize("fetch, found", [(None, 0), ("public", 0), ("any", 30)])
def test_without_a_server_addresses_are_fetched_only_where_that_is_asked_for(
    tmp_path, fetch, found
):
    with serve(PosterServer(server_folder(tmp_path))) as server:
        paths = [f"{server.base}/w154/poster{n}.jpg" for n in NUMBERS]
        statuses, notes = prepared(tmp_path, paths, None, fetch_posters=fetch)
    assert statuses.pop("") == found
    assert bool(server.log.requests) == bool(found)
    if fetch is None:
        assert statuses == {"not asked for": 30}
        assert any("30 movies name a poster that is not asked for" in note for note in notes)
    if fetch == "public":
        assert statuses == {"refused: it leads into a private network or to this machine": 30}


def test_paths_without_a_server_are_not_asked_for(tmp_path):
    statuses, _ = prepared(tmp_path, ["/x.jpg"] * 30, None, fetch_posters="any")
    assert statuses == {"": 0, "not asked for: a path, and no image server is given": 30}


def test_a_server_that_has_none_of_hundreds_of_posters_ends_the_preparation(tmp_path):
    rows = [movie_files.row(n) for n in range(1, 401)]
    metadata = movie_files.write_csv(tmp_path / "m.csv", rows)
    with serve(PosterServer(server_folder(tmp_path))) as server:
        config = PrepareConfig(
            metadata, f"{server.base}/nowhere", tmp_path / "out", progress="none", concurrency=4
        )
        with pytest.raises(UserError, match=r"none of the first 200 .*/nowhere/w154/poster\d+.jpg"):
            prepare(config)
    assert sum(server.log.requests.values()) < 300 * len(poster_places.WIDTHS)


def test_posters_are_found_by_id_where_their_paths_are_not_files(tmp_path):
    posters = tmp_path / "posters"
    posters.mkdir()
    for number in NUMBERS:
        name = f"{number}.png" if number % 2 else f"tt{number:07d}.jpeg"
        (posters / name).write_bytes(movie_files.jpeg(number))
    paths = [f"/abc{n}.jpg" if n % 3 else "" for n in NUMBERS]
    assert prepared(tmp_path, paths, posters)[0] == {"": 30}


def test_a_share_below_a_half_is_a_warning(tmp_path):
    posters = server_folder(tmp_path)
    paths = [f"/poster{n if n < 10 else 1000 + n}.jpg" for n in NUMBERS]
    statuses, notes = prepared(tmp_path, paths, posters)
    assert statuses == {"": 9, "missing: not found": 21}
    assert any("warning: only 9 of 30 posters" in note for note in notes)


def test_a_picture_that_very_many_movies_share_is_missing_and_no_sign_of_a_copy(tmp_path):
    posters = server_folder(tmp_path)
    paths = [f"/poster{n if n < 10 else 30}.jpg" for n in NUMBERS]
    statuses, notes = prepared(tmp_path, paths, posters)
    assert statuses == {"": 9, "missing: a placeholder, which very many movies share": 21}
    assert any("21 movies share one picture, that of /poster30.jpg" in note for note in notes)
    splits = open_dataset(tmp_path / "out").info.splits
    assert [split.num_movies for split in splits.values()] == [21, 3, 6]


@pytest.mark.parametrize(
    "shares, found",
    [
        ([1] * 50 + [19], []),
        ([1] * 50 + [20], [20]),
        ([30] * 10, []),  # Few pictures for all.
        ([2] * 50 + [39, 40], [40]),
        ([500], [500]),
        ([], []),
    ],
)
def test_what_is_a_placeholder(shares, found):
    digests = np.repeat(np.arange(1, len(shares) + 1, dtype=np.uint64), shares)
    assert sorted(placeholders.find(np.r_[digests, np.zeros(9, np.uint64)]).values()) == found


@pytest.mark.parametrize(
    "text, is_none",
    [
        ("We don't have an overview translated in English. Help us expand our database by adding one.", True),  # noqa: E501
        ("We don’t have an overview translated in German.", True),
        ("Add a Plot »", True),
        ("We don't have an overview of the valley until Ann climbs the hill. There she waits.", False),  # noqa: E501
        ("We don't have a plot.", True),
    ],
)  # fmt: skip
def test_sentences_for_a_missing_overview(text, is_none):
    assert (overview_text.known(text) == "") == is_none


@pytest.mark.parametrize(
    "options, said",
    [
        ({"posters": "https://a.example/t/p/w92", "width": "w500"}, "has the width w92"),
        ({"posters": "folder", "fetch_posters": "any"}, "leave one of them out"),
        ({"posters": None, "fetch_posters": "all"}, "choose from public, any"),
    ],
)
def test_options_that_do_not_fit(options, said):
    with pytest.raises(UserError, match=said):
        prepare(PrepareConfig(metadata="m.csv", out="out", **options))
