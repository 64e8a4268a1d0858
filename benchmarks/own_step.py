"""One process of `benchmarks.training_step`: this program's own step, as `mmgenre.main` runs it."""

import json
import sys
from pathlib import Path


def main() -> None:
    """Measures each batch of a folder: python -m benchmarks.own_step <config> <folder> <steps>."""
    from benchmarks.epochs import prepare_process

    name, folder, num_steps = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    config = prepare_process(name)

    import jax
    import numpy as np

    from benchmarks.peers.timing import measure
    from mmgenre.distributed import device_mapping
    from mmgenre.training.learner import Learner

    learner = Learner(config, num_steps)
    state = learner.initial_state()
    train_step = device_mapping.pmap_train_step(learner.train_step)
    measured = {}
    for path in sorted(folder.glob("batch-*.npz")):
        with np.load(path) as file:
            batch = dict(file)

        def step(batch: dict[str, np.ndarray] = batch) -> None:
            nonlocal state
            state, sums = train_step(state, batch)
            jax.block_until_ready((state, sums))

        measured[path.stem.removeprefix("batch-")] = measure(step, num_steps)
    parameters = sum(x.size for x in jax.tree.leaves(state.params))
    versions = {"jax": jax.__version__, "devices": jax.device_count()}
    print(json.dumps({"parameters": parameters, "versions": versions, "steps": measured}))


if __name__ == "__main__":
    main()
