"""Statistics of posters: what they are of plain, striped and missing ones."""

import colorsys

import jax
import numpy as np
import pytest

from mmgenre.models import poster_statistics
from mmgenre.models.poster_statistics import SIZE

_COLOURS, _PATTERNS = 116, 59
_SIXTEENTHS = slice(0, 16 * _COLOURS)
_WHOLE = slice(20 * _COLOURS, 21 * _COLOURS)
_TEXTURE = slice(21 * _COLOURS + 16 * _PATTERNS, 21 * _COLOURS + 17 * _PATTERNS)
_EDGES = slice(21 * _COLOURS + 17 * _PATTERNS, 21 * _COLOURS + 17 * _PATTERNS + 64 * 9)
_MEANS = slice(SIZE - 2 * 192, SIZE - 192)

_statistics = jax.jit(poster_statistics.poster_statistics)


def _of(poster: np.ndarray) -> np.ndarray:
    return np.asarray(_statistics(poster[None]))[0]


def _plain(*colour: int) -> np.ndarray:
    return np.broadcast_to(np.uint8(colour), (64, 64, 3))


@pytest.mark.parametrize("seed", range(3))
def test_a_plain_poster_has_one_colour_by_hue_saturation_and_value(seed):
    for colour in np.random.default_rng(seed).integers(0, 256, (20, 3)):
        hue, saturation, value = map(float, colorsys.rgb_to_hsv(*(colour / 255)))
        # The program decides by whole numbers, this test by floats: not near a border.
        borders = (
            saturation - 0.15,
            saturation - 0.4,
            saturation - 0.66,
            value - 0.33,
            value - 0.66,
        )
        if min(map(abs, borders)) < 1e-3 or hue * 12 % 1 < 1e-3:
            continue
        steps = 3 * ((saturation > 0.4) + (saturation > 0.66)) + (value > 0.33) + (value > 0.66)
        grey = 108 + int(max(colour)) * 8 // 256
        expected = grey if saturation < 0.15 else int(hue * 12) * 9 + steps
        found = _of(_plain(*colour))
        assert np.flatnonzero(found[_WHOLE]).tolist() == [expected]
        np.testing.assert_allclose(found[_WHOLE][expected], 1)
        np.testing.assert_allclose(found[_MEANS], np.tile(colour / 255, 64), rtol=1e-5)


def test_shares_are_of_the_place_where_the_colour_is():
    poster = np.array(_plain(255, 0, 0))
    poster[:16, 48:] = (0, 0, 255)  # The fourth sixteenth of the first row.
    found = _of(poster)
    places = found[_SIXTEENTHS].reshape(16, _COLOURS)
    red, blue = (int(hue * 12) * 9 + 8 for hue in (0, 2 / 3))
    assert np.flatnonzero(places[:, blue]).tolist() == [3]
    np.testing.assert_allclose(places[3, blue], 1)
    np.testing.assert_allclose(found[_WHOLE][[red, blue]], np.sqrt([15 / 16, 1 / 16]), rtol=1e-6)


def test_edges_have_their_direction_and_textures_their_pattern():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::4] = stripes[:, 1::4] = 255
    upright, lying = (_of(x)[_EDGES].reshape(64, 9) for x in (stripes, stripes.swapaxes(0, 1)))
    assert (upright.argmax(axis=1) == 0).all()
    assert set(lying.argmax(axis=1)) <= {4, 5}  # Ninety degrees are between two of nine.
    flat = _of(_plain(9, 9, 9))[_TEXTURE]
    np.testing.assert_allclose(flat[56], 1)  # No neighbour is brighter.
    assert _of(stripes)[_TEXTURE][56] < 0.9


def test_a_missing_poster_has_none_and_the_batch_does_not_matter():
    posters = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    posters[1] = 0
    together = np.asarray(_statistics(posters))
    assert together.shape == (3, SIZE)
    assert not together[1].any()
    np.testing.assert_allclose(together[2], _of(posters[2]), rtol=1e-6, atol=1e-6)
