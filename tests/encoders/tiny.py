"""Tiny encoders that really encode: hashed words, and a picture's colours."""

import hashlib
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

MODULE = "tests.encoders.tiny"


class Words:
    """Counts words by a hash of each."""

    name = "hashed words"
    size = 16

    def encode(self, inputs: list[str]) -> np.ndarray:
        vectors = np.zeros((len(inputs), self.size), np.float32)
        for row, text in enumerate(inputs):
            for word in text.lower().split():
                vectors[row, zlib.crc32(word.encode()) % self.size] += 1
        return vectors


class OtherWords(Words):
    """The same by other weights."""

    def encode(self, inputs: list[str]) -> np.ndarray:
        return super().encode(inputs)[:, ::-1] * 0.5


class Weighed(Words):
    """The same by weights from a file, which it declares; says how often it was loaded."""

    loads = 0

    def __init__(self) -> None:
        type(self).loads += 1
        path = Path(os.environ["MMGENRE_TEST_WEIGHTS"])
        self.files = [path]
        self.digest = hashlib.sha256(path.read_bytes()).hexdigest()
        self.preprocessing = os.environ.get("MMGENRE_TEST_UNDECLARED", "")
        self._scale = float(path.read_text())

    def encode(self, inputs: list[str]) -> np.ndarray:
        return super().encode(inputs) * self._scale


class Colours:
    """The mean colour of each quarter of a picture; ends the process where it is told to."""

    name = "colours"
    size = 12
    side = 32
    digest = "colours of four quarters"

    def __init__(self) -> None:
        self.calls = 0

    def encode(self, inputs: list[Any]) -> np.ndarray:
        self.calls += 1
        if str(self.calls) == os.environ.get("MMGENRE_TEST_KILL_AT_CALL"):
            os.kill(os.getpid(), 9)
        pixels = np.stack([np.asarray(picture, np.float32) for picture in inputs]) / 255
        assert pixels.shape[1:] == (32, 32, 3)
        quarters = pixels.reshape((len(inputs), 2, 16, 2, 16, 3)).mean(axis=(2, 4))
        return quarters.reshape((len(inputs), self.size))


class LargeColours(Colours):
    """The same encoder at the size that real ones ask for."""

    side = 224

    def encode(self, inputs: list[Any]) -> np.ndarray:
        return super().encode([picture.reduce(7) for picture in inputs])


def large_colours() -> LargeColours:
    return LargeColours()


def words() -> Words:
    return Words()


def weighed() -> Weighed:
    return Weighed()


def other_words() -> OtherWords:
    return OtherWords()


def colours() -> Colours:
    return Colours()


def no_encoder() -> object:
    return object()


def needs_a_package() -> object:
    import a_package_that_nobody_has  # noqa: F401

    return object()
