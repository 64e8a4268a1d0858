"""The worker of `benchmarks.gpu` that trains with mmgenre. Neither TensorFlow nor a data set."""

import dataclasses
import functools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.gpu_data import Case, make_movies, serve
from mmgenre import schema
from mmgenre.config import Config, LstmKernel, ModelConfig
from mmgenre.dataset.batch_plan import BatchPlan, plan_evaluation
from mmgenre.distributed import device_mapping
from mmgenre.evaluation import curves, eval_steps
from mmgenre.kernels import conv
from mmgenre.kernels.lstm import Method, lstm_stack
from mmgenre.kernels.lstm_choice import method_of, require_kernel
from mmgenre.models.fusion import FusionModel
from mmgenre.training.learner import Learner
from mmgenre.training.resident_feed import ResidentFeed, TrainStep

Epoch = Callable[[Any], tuple[Any, list[Any]]]
"""Starts the steps of an epoch from a state; returns the state after them, and their sums."""


def epoch_runner(
    case: Case, model: ModelConfig, movies: dict[str, np.ndarray], plan: BatchPlan
) -> Callable[[], float]:
    """Returns a function that trains an epoch, each time going on, and returns its seconds."""
    kernel = cast(LstmKernel, case.lstm)  # The config checks it.
    model = dataclasses.replace(model, compute_dtype=case.dtype, lstm_kernel=kernel)
    config = Config(batch_size=case.batch_size, model=model)
    learner = Learner(config, len(plan))
    state: Any = None
    start_steps: Epoch | None = None
    validate: Callable[[Any], None] | None = None

    def run_epoch() -> float:
        nonlocal state, start_steps, validate
        if start_steps is None:
            require_kernel(model)
            require_no_other(model)
            state = learner.initial_state()
            make = resident_epoch if case.mode == "resident" else host_epoch
            start_steps = make(case, learner.train_step, movies, plan)
            if case.is_whole:
                validate = validation(case, learner.model, movies)
            jax.block_until_ready(state)
        start = time.perf_counter()
        state, sums = start_steps(state)
        losses = [np.asarray(one["loss"]) for one in jax.device_get(sums)]
        if validate is not None:
            validate(state.params)
        seconds = time.perf_counter() - start
        if not all(np.isfinite(loss).all() for loss in losses):
            raise FloatingPointError("the loss is not finite")
        return seconds

    return run_epoch


def require_no_other(model: ModelConfig) -> None:
    """Raises RuntimeError where another kernel would be measured than the one asked for."""
    method = method_of(model.lstm_kernel, model.lstm_units, model.compute_dtype)
    if jax.default_backend() == "gpu" and model.lstm_kernel == "wavefront" != method:
        raise RuntimeError(f"not measured: it would be {method}; see the warning above")


def validation(
    case: Case, model: FusionModel, movies: dict[str, np.ndarray]
) -> Callable[[Any], None]:
    """Returns what training does after an epoch, but for saving: on a ninth as many movies."""
    num_movies = max(case.batch_size, len(movies["labels"]) // 9)
    width = movies["tokens"].shape[1]
    lengths = (width,) if case.tokens == "full" else tuple(sorted({min(64, width), width}))
    plan = plan_evaluation(
        movies["num_tokens"][:num_movies], batch_size=case.batch_size, bucket_lengths=lengths
    )
    batches = [
        device_mapping.put_split(host_batch(movies, np.maximum(chosen, 0), length))
        for chosen, length in zip(plan.movies, plan.lengths.tolist(), strict=True)
    ]
    step = device_mapping.jit_eval_step(functools.partial(eval_steps.eval_step, model=model))

    def validate(params: Any) -> None:
        results = jax.device_get([step(params, batch) for batch in batches])
        logits, labels = (np.concatenate(parts) for parts in zip(*results, strict=True))
        curves.rank(labels.astype(bool), logits)
        curves.rank(labels.T.astype(bool), logits.T)

    return validate


def host_batch(movies: dict[str, np.ndarray], chosen: np.ndarray, length: int) -> dict[str, Any]:
    """Returns the batch of some movies, cut or padded to a length."""
    num_tokens = np.minimum(movies["num_tokens"][chosen], length)
    return {
        **{name: movies[name][chosen] for name in ("poster", "labels")},
        schema.TOKENS: movies["tokens"][chosen, :length],
        schema.LENGTH: np.maximum(num_tokens, 1).astype(np.int32),
        schema.ROW: np.arange(len(chosen), dtype=np.int32),
        schema.MASK: np.ones(len(chosen), np.float32),
    }


def resident_epoch(
    case: Case, step: TrainStep, movies: dict[str, np.ndarray], plan: BatchPlan
) -> Epoch:
    """An epoch on movies that lie on the device."""
    arrays = {name: array for name, array in movies.items() if name != "num_tokens"}
    feed = ResidentFeed(
        arrays,
        movies["num_tokens"],
        step,
        batch_size=case.batch_size,
        bucket_lengths=tuple(sorted(set(plan.lengths.tolist()))),
        steps_per_dispatch=case.steps_per_dispatch,
    )
    ends = [*range(case.steps_per_dispatch, len(plan), case.steps_per_dispatch), len(plan)]

    def epoch(state: Any) -> tuple[Any, list[Any]]:
        sums = []
        for dispatch in feed.dispatches(plan, 0, ends):
            state, one = feed.run(state, dispatch)
            sums.append(one)
        return state, sums

    return epoch


def host_epoch(
    case: Case, step: TrainStep, movies: dict[str, np.ndarray], plan: BatchPlan
) -> Epoch:
    """An epoch of batches that are gathered by NumPy and sent, a step a dispatch."""
    del case
    mapped = device_mapping.pmap_train_step(step)

    def epoch(state: Any) -> tuple[Any, list[Any]]:
        sums = []
        for chosen, length in zip(plan.movies, plan.lengths.tolist(), strict=True):
            state, one = mapped(state, host_batch(movies, chosen, length))
            sums.append(one)
        return state, sums

    return epoch


def stack_gradients(
    case: Case, model: ModelConfig, batch: int, time: int
) -> Callable[[Method], list[jax.Array]]:
    """Returns a function that computes the LSTMs, forward and backward, by a method."""
    generator = np.random.default_rng(0)
    layers, width = [], model.embedding_size
    for units in model.lstm_units:
        shapes = ((width, 4 * units), (units, 4 * units), (4 * units,))
        layers.append(tuple(0.1 * generator.standard_normal(s, np.float32) for s in shapes))
        width = units
    x = jnp.asarray(
        generator.standard_normal((time, batch, model.embedding_size), np.float32), case.dtype
    )
    masks: list[jax.Array | None] = [
        jnp.asarray(generator.integers(0, 2, (time, batch, units)), jnp.float32)
        for units in model.lstm_units[:-1]
    ]

    def total(layers: Any, x: jax.Array, method: Method) -> jax.Array:
        h = lstm_stack(x, layers, [*masks, None], method=method, time_major=True)
        weights = jnp.cos(jnp.arange(h.size)).reshape(h.shape)
        return (h * weights).sum()

    gradient = jax.jit(jax.value_and_grad(total, argnums=(0, 1)), static_argnums=2)
    return lambda method: jax.tree.leaves(gradient(layers, x, method))


def kernel_error(case: Case, model: ModelConfig) -> float:
    """Returns how far a kernel's outputs and gradients are from the scan's, of the largest."""
    compute = stack_gradients(case, model, 32, 40)
    expected = compute("plain")
    actual = compute(method_of(case.lstm, model.lstm_units, case.dtype))
    pairs = [
        (np.asarray(a, np.float32), np.asarray(e, np.float32))
        for a, e in zip(actual, expected, strict=True)
    ]
    return max(float(np.abs(a - e).max() / np.abs(e).max()) for a, e in pairs)


def lstm_seconds(case: Case, model: ModelConfig) -> float:
    """Returns how long the LSTMs alone take, forward and backward, 64 tokens of a batch."""
    compute = stack_gradients(case, model, case.batch_size, 64)
    method = method_of(case.lstm, model.lstm_units, case.dtype)
    jax.block_until_ready(compute(method))
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        jax.block_until_ready([compute(method) for _ in range(10)])
        seconds.append((time.perf_counter() - start) / 10)
    return min(seconds)


def measure_ceilings(size: int) -> dict[str, float]:
    """Returns what this device reaches: "flops" of a matrix product, "bandwidth" of a copy."""
    a = jax.random.normal(jax.random.key(0), (size, size), jnp.bfloat16)
    b = jnp.zeros((size * size * 16,), jnp.uint8)
    results = {}
    for name, function, x, work in (
        ("flops", jax.jit(lambda a: a @ a), a, 2 * size**3),
        ("bandwidth", jax.jit(lambda b: b + jnp.uint8(1)), b, 2 * b.nbytes),
    ):
        jax.block_until_ready(function(x))
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            jax.block_until_ready([function(x) for _ in range(4)])
            seconds.append((time.perf_counter() - start) / 4)
        results[name] = work / min(seconds)
    return results


def main() -> None:
    """Reads what to do from the first argument, a JSON file; see `benchmarks.gpu.Worker`."""
    job = json.loads(Path(sys.argv[1]).read_text())
    model = Config.from_config_dict({"model": job["model"]}).model
    movies = make_movies(**job["movies"])
    conv.GPU_METHOD = job["conv"]
    runners: dict[str, Callable[[], float]] = {}
    extra: dict[str, Any] = {}
    for name, fields in job["cases"].items():
        case = Case(**fields)
        plan = BatchPlan(*(np.asarray(x) for x in job["plans"][f"{case.batch_size} {case.tokens}"]))
        runners[name] = epoch_runner(case, model, movies, plan)
    if job["ceilings"]:
        extra["ceilings"] = measure_ceilings(job["ceilings"])
    if job["check"]:
        case = Case(**next(iter(job["cases"].values())))
        measures = {"kernel_error": kernel_error, "lstm_seconds": lstm_seconds}
        for name, measure in measures.items():
            try:
                extra[name] = measure(case, model)
            except Exception as error:
                extra[name] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    extra["versions"] = {"jax": jax.__version__, "device": jax.devices()[0].device_kind}

    def answer(value: Any) -> None:
        print(json.dumps({"answer": value, **extra, "modules": sorted(set(sys.modules) & _HEAVY)}))
        sys.stdout.flush()

    serve(runners, answer)


_HEAVY = {"msgspec", "sklearn", "tensorflow", "tensorflow_datasets"}

if __name__ == "__main__":
    main()
