"""The architecture in PyTorch, eager or compiled, as a user would write it.

python benchmarks/peers/torch_step.py {eager|compiled} <folder> <steps>; see
`benchmarks.training_step`.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timing import measure  # type: ignore[import-not-found]
from torch import nn


class Fusion(nn.Module):
    """The model of a `ModelConfig`, as a dict."""

    def __init__(self, config: dict[str, Any], num_genres: int):
        super().__init__()
        size, channels, convolutions = 64, 3, []
        for filters in config["cnn_filters"]:
            convolution = nn.Conv2d(channels, filters, 3, padding=1)
            convolutions += [convolution, nn.ReLU(), nn.MaxPool2d(2)]
            channels, size = filters, size // 2
        self.poster = nn.Sequential(
            *convolutions,
            nn.Dropout(config["cnn_dropout"]),
            nn.Flatten(),
            nn.Linear(size * size * channels, config["poster_features"]),
            nn.ReLU(),
        )
        self.embedding = nn.Embedding(config["vocabulary_size"], config["embedding_size"])
        units = set(config["lstm_units"])
        assert len(units) == 1, "nn.LSTM has layers of one size"
        self.lstm = nn.LSTM(
            config["embedding_size"],
            *units,
            num_layers=len(config["lstm_units"]),
            batch_first=True,
            dropout=config["lstm_dropout"],
        )
        self.overview = nn.Sequential(
            nn.Dropout(config["lstm_dropout"]),
            nn.Linear(*units, config["overview_features"]),
            nn.ReLU(),
        )
        features, head = config["poster_features"] + config["overview_features"], []
        for outputs in config["head_units"]:
            head += [nn.Linear(features, outputs), nn.ReLU(), nn.Dropout(config["head_dropout"])]
            features = outputs
        self.head = nn.Sequential(*head, nn.Linear(features, num_genres))

    def forward(self, posters: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Returns the logits of posters [batch, 3, 64, 64] and tokens [batch, time]."""
        outputs, _ = self.lstm(self.embedding(tokens))
        overview = self.overview(outputs[:, -1])
        return self.head(torch.cat([self.poster(posters), overview], -1))


def main() -> None:
    """Measures the longest batch of a folder."""
    how, folder, steps = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    config = json.loads((folder / "model.json").read_text())
    length = max(int(path.stem.removeprefix("batch-")) for path in folder.glob("batch-*.npz"))
    with np.load(folder / f"batch-{length}.npz") as batch:
        posters = torch.as_tensor(batch["poster"].astype(np.float32) / 255)
        posters = posters.permute(0, 3, 1, 2).contiguous()
        tokens = torch.as_tensor(batch["tokens"]).long()
        labels = torch.as_tensor(batch["labels"].astype(np.float32))
    model = Fusion(config, labels.shape[1])
    optimizer = torch.optim.Adam(model.parameters())
    forward = torch.compile(model) if how == "compiled" else model

    def step() -> float:
        optimizer.zero_grad()
        logits = forward(posters, tokens)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, labels)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    measured = measure(step, steps)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    versions = {"torch": torch.__version__}
    result = {"parameters": parameters, "versions": versions, "steps": {length: measured}}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
