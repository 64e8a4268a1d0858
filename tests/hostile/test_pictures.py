"""Pictures that want all memory or time, and damaged ones: each ends, in bounds, in a plain answer.

`pytest -m slow tests/hostile` tries them all.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mmgenre.inputs import decoder_child
from tests.hostile import pictures
from tests.hostile.measured_decoder import MeasuredDecoder

SECONDS = decoder_child.SECONDS + 3
"""Processor time that a file may take, before and after the limited process included."""

OWN_MIB = 300
"""Peak memory of the process that asks: a file of 32 MiB, a copy of it, a picture of 8 million
pixels, and 60 MiB of Python, NumPy and Pillow."""

CHILD_MIB = (decoder_child.MEMORY >> 20) + 60

FEW: dict[str, Callable[[], bytes]] = {
    maker.__name__: maker
    for maker in (
        pictures.run_length_bmp,
        pictures.jpeg_exif_bomb,
        pictures.png_exif_bomb,
        pictures.webp_exif_bomb,
        pictures.tiff_bomb,
        pictures.deep_grey_png,
        pictures.many_scans_jpeg,
        pictures.comment_gif,
        pictures.drawing,
    )
}
FEW |= dict(pictures.damaged(2))
ALL = {maker.__name__: maker for maker in pictures.BOMBS} | dict(pictures.damaged(20))


@pytest.fixture(scope="module")
def decoder() -> Iterator[MeasuredDecoder]:
    with MeasuredDecoder() as process:
        yield process


def check(decoder: MeasuredDecoder, maker: Callable[[], bytes], folder: Path) -> None:
    path = folder / "file"
    path.write_bytes(maker())
    found = decoder.decode(path)
    result = found["result"]
    assert "Error" not in result and "\n" not in result and len(result) < 200, found
    assert found["seconds"] < SECONDS, found
    own, *child = found["mib"]
    assert own < OWN_MIB and all(mib < CHILD_MIB for mib in child), found


@pytest.mark.parametrize("name", FEW)
def test_a_few(name: str, decoder: MeasuredDecoder, tmp_path: Path):
    check(decoder, FEW[name], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_all(name: str, decoder: MeasuredDecoder, tmp_path: Path):
    check(decoder, ALL[name], tmp_path)


def test_broken_exif_costs_no_picture(decoder: MeasuredDecoder, tmp_path: Path):
    for name, maker in pictures.damaged(20):
        if name.startswith("exif"):
            (tmp_path / name).write_bytes(maker())
            assert decoder.decode(tmp_path / name)["result"] == "decoded", name
