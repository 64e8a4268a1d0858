"""Timing steps; imports nothing, so that a peer's environment needs its framework alone."""

import time
from collections.abc import Callable


def measure(step: Callable[[], None], steps: int) -> dict[str, list[float]]:
    """Runs `step` two times uncounted and `steps` times counted; it must wait for its result.

    Returns:
      "wall_ms" and "cpu_ms" (of all threads) of each counted step.
    """
    step()
    step()
    wall, cpu = [], []
    for _ in range(steps):
        start, start_cpu = time.perf_counter(), time.process_time()
        step()
        wall.append(1e3 * (time.perf_counter() - start))
        cpu.append(1e3 * (time.process_time() - start_cpu))
    return {"wall_ms": wall, "cpu_ms": cpu}
