"""Posters of a catalogue's rows, from all the places where preparation finds them."""

import os
import stat
import urllib.parse
from pathlib import Path

from mmgenre.errors import UserError
from mmgenre.inputs import poster_places, web_addresses
from mmgenre.inputs.poster_decoder import PosterError
from mmgenre.inputs.poster_folder import PosterFolder
from mmgenre.inputs.poster_source import (
    AddressNotFetched,
    PosterNotThere,
    fetch_poster,
    read_poster,
)
from mmgenre.inputs.web_addresses import Reach
from mmgenre.prediction.movie import DecodedPoster, decode
from mmgenre.prediction.table_request import Question, TableRequest

Found = tuple[DecodedPoster | None, str]
"""A poster, or None and why there is none ("" where none is named)."""


class TablePosters:
    """Finds, reads and decodes posters. Safe to use from several threads.

    Raises:
      UserError: there is no such folder, or the server's address is none.
    """

    def __init__(self, request: TableRequest, side: int = 0):
        """Takes what is asked, and the `side` of pictures that `movie.read_movie` says."""
        self._request, self._side = request, side
        self._folder: PosterFolder | None = None
        self._base = ""
        self._widths = poster_places.widths_by_preference(request.width)
        if request.has_server:
            assert request.posters is not None
            self._base, width = poster_places.split_base(request.posters)
            self._widths = poster_places.widths_by_preference(width or request.width)
            self._reach = _beyond(self._base)
        elif request.posters is not None:
            self._folder = PosterFolder(request.posters, request.width)

    def load(self, question: Question) -> Found:
        """Returns the poster of a row."""
        if question.note:
            return None, ""
        try:
            data, note = self._read(question)
            return (None if data is None else decode(data, self._side)), note
        except PosterError as error:
            return None, f"poster: {error}"
        except AddressNotFetched as error:
            allowed = self._request.addresses
            option = "--fetch-posters any" if allowed == "public" else "--fetch-posters"
            return None, f"{error} ({option} allows it)" if allowed != "any" else str(error)
        except UserError as error:
            return None, str(error)

    def _read(self, question: Question) -> tuple[bytes | None, str]:
        """Returns the bytes of a row's poster; raises UserError and the like where it has none."""
        if self._folder is None and not self._base:
            return self._read_as_it_is(question.poster)
        try:
            place = poster_places.reference(question.poster)
        except poster_places.UnsafePoster:
            if "://" in question.poster:
                return read_poster(question.poster, self._request.addresses), ""
            return None, "poster outside of the folder"
        if self._folder is not None:
            path = self._folder.find(place, (question.id, question.imdb_id))
            if path is not None:
                return self._read_as_it_is(path)
            if web_addresses.is_address(place):
                return read_poster(place, self._request.addresses), ""
            return None, f"poster: no {place} in {self._folder.path}" if place else ""
        if not place:
            return None, ""
        if path := poster_places.server_path(place):
            return self._fetch_at_a_width(path), ""
        return fetch_poster(place, self._reach), ""

    def _read_as_it_is(self, name: str) -> tuple[bytes | None, str]:
        if name.casefold() in poster_places.MISSING:
            return None, ""
        if web_addresses.is_address(name) or "://" in name:
            return read_poster(name, self._request.addresses), ""
        if _waits(Path(name)):
            return None, f"poster: {name} is no ordinary file"
        return read_poster(Path(name)), ""

    def _fetch_at_a_width(self, path: str) -> bytes:
        for width in self._widths[:-1]:
            try:
                return self._fetch(width, path)
            except PosterNotThere:
                continue
        return self._fetch(self._widths[-1], path)

    def _fetch(self, width: str, path: str) -> bytes:
        # The user has named this server: it may be anywhere.
        address = f"{self._base}/{width}{urllib.parse.quote(path)}"
        return fetch_poster(address, web_addresses.ANYWHERE)


def _beyond(base: str) -> Reach:
    """Returns where posters that are not on the server itself may be: as it is in preparation."""
    try:
        place = web_addresses.parse(base)
    except ValueError as error:
        raise UserError(f"--posters is {base}, which is no address: {error}") from None
    return Reach.beyond(*web_addresses.kinds_of(place))


def _waits(path: Path) -> bool:
    """Whether a path that somebody else chose is a pipe or a device, which may never end."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False  # Reading says why.
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
