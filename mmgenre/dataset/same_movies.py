"""Movies that are the same: those that a chain of shared keys joins. Imports no TensorFlow."""

from collections.abc import Iterable

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph


def joined(num_movies: int, kinds: Iterable[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Returns <int32>[num_movies]: the number of the group of each.

    Two movies are in one group when a chain of shared keys joins them.

    Args:
      num_movies: how many there are.
      kinds: for each kind of key: numbers of movies <int>[n] that have one, and their keys [n].
    """
    heads, tails = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for numbers, keys in kinds:
        order = np.argsort(keys, kind="stable")
        numbers, keys = numbers[order], keys[order]
        same = np.flatnonzero(keys[1:] == keys[:-1])
        heads.append(numbers[same])
        tails.append(numbers[same + 1])
    head, tail = np.concatenate(heads), np.concatenate(tails)
    graph = sparse.coo_matrix((np.ones(len(head), bool), (head, tail)), shape=(num_movies,) * 2)
    _, component = csgraph.connected_components(graph, directed=False)
    return component
