"""The cases that `benchmarks.gpu` measures."""

import dataclasses

from benchmarks.gpu_data import Case

STEPS_PER_DISPATCH = 16


def our_cases(kernel: str, batches: list[int]) -> list[Case]:
    """The cases of a worker of ours: batches and tokens in bfloat16, the rest at one batch."""
    base = Case("mmgenre", f"{kernel}", 0, "bfloat16", "real", "resident", kernel)
    base = dataclasses.replace(base, steps_per_dispatch=STEPS_PER_DISPATCH)
    cases = [
        dataclasses.replace(base, batch_size=batch, tokens=tokens)
        for batch in batches
        for tokens in ("full", "real")
    ]
    first = cases[1]
    return [
        *cases,
        dataclasses.replace(first, variant=f"{kernel}, one step a dispatch", steps_per_dispatch=1),
        dataclasses.replace(first, variant=f"{kernel}, from the host", mode="host"),
        dataclasses.replace(first, dtype="float32"),
        dataclasses.replace(first, variant=f"{kernel}, with validation", is_whole=True),
    ]


def torch_cases(batches: list[int]) -> list[Case]:
    """The cases of PyTorch's worker."""
    cases = [
        Case("PyTorch", "compiled", batch, "bfloat16", tokens)
        for batch in batches
        for tokens in ("full", "real")
    ]
    first = cases[1]
    return [
        *cases,
        dataclasses.replace(first, variant="compiled, CUDA graphs"),
        dataclasses.replace(first, variant="eager"),
        dataclasses.replace(first, dtype="float32"),
    ]


def name_of(case: Case) -> str:
    """What a case is called on the way to a worker and back."""
    return f"{case.framework} {case.variant} {case.dtype} {case.batch_size} {case.tokens}"
