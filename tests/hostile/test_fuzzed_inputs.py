"""Damaged pictures, bundles, record indices and requests: an answer or a refusal, in bounded time.

Seeded: each start tries the same.
"""

import io
import resource
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from mmgenre import schema
from mmgenre.dataset.prepared import open_dataset
from mmgenre.errors import UserError
from mmgenre.inputs.poster_decoder import PosterError, decode_poster
from tests.hostile.mutations import damaged
from tests.prediction.test_web_strangers import raw
from tests.web_server import served

MAX_SECONDS = 10.0
"""Of one input."""
MAX_GROWTH = 512 << 10
"""Of the process' largest resident memory over all inputs, in kB."""

KINDS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")


def fuzz(check: Callable[[bytes], object], content: bytes, num_examples: int) -> None:
    """Calls `check` with the content, damaged in many ways; more time or memory is an error."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    @settings(
        max_examples=num_examples,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(st.lists(damaged(content), min_size=1, max_size=1))
    def run(inputs: list[bytes]) -> None:
        start = time.monotonic()
        check(inputs[0])
        assert time.monotonic() - start < MAX_SECONDS

    run()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MAX_GROWTH


def picture(kind: str) -> bytes:
    rng = np.random.default_rng(0)
    buffer = io.BytesIO()
    pixels = rng.integers(0, 256, (60, 40, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, kind, **({"exif": b"Exif"} if kind == "PNG" else {}))
    return buffer.getvalue()


def decode(data: bytes) -> None:
    try:
        assert decode_poster(data).shape == schema.POSTER_SHAPE
    except PosterError as error:
        assert "\n" not in str(error) and len(str(error)) < 500


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_pictures(kind):
    fuzz(decode, picture(kind), 20)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_damaged_pictures(kind):
    fuzz(decode, picture(kind), 300)


@pytest.mark.slow
def test_many_damaged_record_indices(tiny_dataset, tmp_path):
    folder = Path(shutil.copytree(tiny_dataset.path, tmp_path / "data"))
    dataset = open_dataset(folder)

    def check(data: bytes) -> None:
        (folder / "record_index.npz").write_bytes(data)
        try:
            for split in dataset.info.splits:
                dataset.index(split)
        except UserError as error:
            assert "\n" not in str(error) and len(str(error)) < 1_000

    fuzz(check, (folder / "record_index.npz").read_bytes(), 300)


@pytest.mark.slow
def test_many_damaged_requests(tiny_run, tmp_path):
    """The page answers each, or hangs up; then it answers a sound one as ever."""
    pytest.importorskip("starlette")
    body = (
        b'--x\r\nContent-Disposition: form-data; name="overview"\r\n\r\nA boy finds a map.\r\n'
        b'--x\r\nContent-Disposition: form-data; name="poster"; filename="a.png"\r\n'
        b"Content-Type: image/png\r\n\r\n" + picture("PNG")[:300] + b"\r\n--x--\r\n"
    )
    with served(tiny_run.path, tmp_path) as address:
        host = address.removeprefix("http://")
        head = (
            f"POST / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()

        def check(data: bytes) -> None:
            answer = raw(address, data)
            assert not answer or answer.startswith(b"HTTP/1.1 ")
            assert b"Traceback" not in answer and b" 500 " not in answer[:20]

        fuzz(check, head + body, 200)
        get = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
        assert raw(address, get).startswith(b"HTTP/1.1 200 ")
