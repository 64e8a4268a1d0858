"""The worker of `benchmarks.gpu` that trains with PyTorch, as its users make it fast on a GPU.

The same architecture, parameters and batches: compiled (`torch.compile`), channels-last, cuDNN's
LSTM, fused Adam, bfloat16 by autocast, TensorFloat-32 for the rest, and the data set resident on
the device, too. Needs PyTorch and NumPy only.
"""

import itertools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.gpu_data import NUM_GENRES, Case, make_movies, serve


class Model(nn.Module):
    """Model 0 or 1, by the fields of `mmgenre.config.ModelConfig`."""

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        channels, side = 3, 64
        convolutions: list[nn.Module] = []
        for filters in config["cnn_filters"]:
            convolutions += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
            channels, side = filters, side // 2
        self.cnn = nn.Sequential(*convolutions, nn.Dropout(config["cnn_dropout"]), nn.Flatten())
        self.poster_dense = nn.Linear(channels * side * side, config["poster_features"])
        self.embedding = nn.Embedding(config["vocabulary_size"], config["embedding_size"])
        sizes = (config["embedding_size"], *config["lstm_units"])
        self.lstms = nn.ModuleList(
            nn.LSTM(a, b, batch_first=True) for a, b in itertools.pairwise(sizes)
        )
        self.lstm_dropout = nn.Dropout(config["lstm_dropout"])
        self.overview_dense = nn.Linear(sizes[-1], config["overview_features"])
        width, head = config["poster_features"] + config["overview_features"], []
        for units in config["head_units"]:
            head += [nn.Linear(width, units), nn.ReLU(), nn.Dropout(config["head_dropout"])]
            width = units
        self.head = nn.Sequential(*head, nn.Linear(width, NUM_GENRES))

    def forward(self, posters: torch.Tensor, tokens: torch.Tensor, lengths: torch.Tensor) -> Any:
        """Logits [batch, 18] of uint8 posters [batch, 64, 64, 3], tokens and lengths."""
        images = posters.permute(0, 3, 1, 2).float() / 255  # Channels last in memory as it is.
        poster = torch.relu(self.poster_dense(self.cnn(images)))
        x = self.embedding(tokens)
        for layer in self.lstms:
            x = self.lstm_dropout(layer(x)[0])
        last = x[torch.arange(len(x), device=x.device), lengths - 1]
        overview = torch.relu(self.overview_dense(last))
        return self.head(torch.cat([poster, overview], dim=1))


def epoch_runner(
    case: Case, config: dict[str, Any], data: dict[str, torch.Tensor], plan: Any, device: str
) -> Callable[[], float]:
    """Returns a function that trains an epoch, each time going on, and returns its seconds."""
    model = Model(config).to(device, memory_format=torch.channels_last)
    fused = device == "cuda"
    adam = torch.optim.Adam(model.parameters(), lr=1e-3, fused=fused)
    has_graphs = "CUDA graphs" in case.variant
    compiled: Any = model
    if "compiled" in case.variant:
        compiled = torch.compile(model, mode="reduce-overhead" if has_graphs else None)
    movies = torch.as_tensor(np.asarray(plan[0]), device=device)
    lengths = [int(length) for length in plan[1]]

    def step(chosen: torch.Tensor, length: int) -> torch.Tensor:
        posters = data["poster"][chosen]
        tokens = data["tokens"][chosen, :length]
        num_tokens = data["num_tokens"][chosen].clamp(1, length)
        labels = data["labels"][chosen].float()
        adam.zero_grad(set_to_none=True)
        if has_graphs:
            torch.compiler.cudagraph_mark_step_begin()
        with torch.autocast(device, torch.bfloat16, enabled=case.dtype == "bfloat16"):
            logits = compiled(posters, tokens, num_tokens)
        loss = nn.functional.binary_cross_entropy_with_logits(logits.float(), labels)
        loss.backward()
        adam.step()
        return loss.detach()

    def run_epoch() -> float:
        if device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        losses = [step(movies[i], length) for i, length in enumerate(lengths)]
        if not np.isfinite(torch.stack(losses).cpu().numpy()).all():  # Waits for the last step.
            raise FloatingPointError("the loss is not finite")
        return time.perf_counter() - start

    return run_epoch


def main() -> None:
    """Reads what to do from the first argument, a JSON file; see `benchmarks.gpu.Worker`."""
    job = json.loads(Path(sys.argv[1]).read_text())
    device = "cuda" if job["platform"] == "gpu" else "cpu"
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    arrays = make_movies(**job["movies"])
    data = {
        "poster": torch.as_tensor(arrays["poster"], device=device),
        "tokens": torch.as_tensor(arrays["tokens"].astype(np.int64), device=device),
        "num_tokens": torch.as_tensor(arrays["num_tokens"].astype(np.int64), device=device),
        "labels": torch.as_tensor(arrays["labels"], device=device),
    }
    runners = {}
    for name, fields in job["cases"].items():
        case = Case(**fields)
        plan = job["plans"][f"{case.batch_size} {case.tokens}"]
        runners[name] = epoch_runner(case, job["model"], data, plan, device)
    cudnn = torch.backends.cudnn.version()
    versions = {"torch": torch.__version__, "cudnn": cudnn}

    def answer(value: Any) -> None:
        print(json.dumps({"answer": value, "versions": versions}))
        sys.stdout.flush()

    serve(runners, answer)


if __name__ == "__main__":
    main()
