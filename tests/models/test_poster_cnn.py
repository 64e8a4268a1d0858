"""The poster's branch: posters changed at random."""

import jax
import jax.numpy as jnp
import numpy as np

from mmgenre.models.poster_cnn import augment_posters


def test_posters_are_changed_by_their_row_and_missing_ones_stay_missing():
    key, rows = jax.random.key(0), jnp.arange(6)
    posters = jax.random.uniform(jax.random.key(1), (6, 64, 64, 3)).at[2].set(0)
    changed = augment_posters(key, rows, posters)
    assert changed.shape == posters.shape and not changed[2].any()
    assert changed.min() >= 0 and changed.max() <= 1
    np.testing.assert_array_equal(changed[3:], augment_posters(key, rows[3:], posters[3:]))
    # Each is the poster itself, maybe mirrored, shifted by up to 4 pixels, times one factor.
    posters, changed = np.asarray(posters), np.asarray(changed)
    for row in (0, 1, 3, 4, 5):
        middle = changed[row, 8:56, 8:56]
        ratios = []
        for image in (posters[row], posters[row, :, ::-1]):
            for dy in range(-4, 5):
                for dx in range(-4, 5):
                    piece = image[8 + dy : 56 + dy, 8 + dx : 56 + dx]
                    below = middle < 0.999
                    ratios.append(np.std((middle / np.maximum(piece, 1e-3))[below & (piece > 0.1)]))
        assert min(ratios) < 1e-3
