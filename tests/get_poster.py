"""The two ways in which a poster comes from the web."""

import asyncio

from data_prep.posters import http_client
from mmgenre.errors import UserError
from mmgenre.inputs import poster_source


def by_fetch(base: str) -> bytes:
    """As `data_prep.prepare` gets a poster."""

    async def ask() -> http_client.Answer:
        config = http_client.FetchConfig(base, ("w154",), tries=1, timeout=2, concurrency=1)
        async with http_client.open_client(config) as client:
            return await client.poster("/x.jpg")

    found = asyncio.run(ask())
    if found.data is None:
        raise UserError(found.status)
    return bytes(found.data)


def by_predict(base: str) -> bytes:
    """As `mmgenre.predict` gets a poster."""
    return poster_source.read_poster(f"{base}/w154/x.jpg")
