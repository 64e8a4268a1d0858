"""What a training prints: a line an epoch, a line when a phase begins, nothing of libraries."""

import re

from mmgenre.config import Config
from mmgenre.machine import progress
from mmgenre.training.log import epoch_line
from tests.commands import run_module
from tests.scale_helpers import TINY

LINES = (
    r"data set: tiny \(.*; \d+ train, \d+ validation, \d+ test\)",
    r"\d+ x cpu: .*",
    r"compiling during the first epoch; later runs find it in the cache",
    r"epoch [12]/2  loss \d\.\d{3}  val loss \d\.\d{3}  mAP \d\.\d{3}( \(best\))?  "
    r"F1 \d\.\d{3}  [\d,]+ movies/s  [\d.]+ s",
    r"trained to epoch 2, the best is epoch [12]; \d+% of the time outside steps",
    r"evaluating the best checkpoint, step \d+, on the (validation|test) split",
    r"fitting the baselines on tiny, once for this data set",
    r"drawing the report",
)
SCALARS = {
    "validation/loss": 0.3331,
    "validation/average_precision/macro": 0.1992,
    "validation/f1/micro": 0.18,
    "validation/roc_auc/macro": 0.71,
    "epoch/seconds": 2.2,
}


def test_a_training_prints_short_lines_alone(tiny_dataset, tmp_path):
    process = run_module(
        "mmgenre.main",
        *TINY,
        f"--config.data.dir={tiny_dataset.path}",
        f"--workdir={tmp_path / 'run'}",
        "--config.epochs=2",
    )
    assert process.returncode == 0, process.stderr
    lines = process.stderr.splitlines()
    slow = re.compile(r"[a-z ]+: \d+( of \d+)? \w+, [\d.]+ per second(, \d+ s left)?")
    for line in (line for line in lines if not slow.fullmatch(line)):
        assert any(re.fullmatch(r"[-\d]{10} [:\d]{8} " + form, line) for form in LINES), line
    assert sum(" epoch " in line for line in lines) >= 2
    assert max(map(len, process.stdout.splitlines())) <= max(80, len(str(tmp_path)) + 60)


def test_the_line_of_an_epoch():
    config = Config(epochs=20)
    assert epoch_line(config, 3, 0.3634, SCALARS, 779.3, is_best=True) == (
        "epoch  3/20  loss 0.363  val loss 0.333  mAP 0.199 (best)  F1 0.180  779 movies/s  2 s"
    )
    config = Config(epochs=2, selection_metric="roc_auc/macro")
    assert "  F1 0.180  roc auc/macro 0.710 (best)  " in epoch_line(
        config, 1, 0.3634, SCALARS, 779.3, is_best=True
    )
    undefined = {"validation/loss": 0.3, "epoch/seconds": 0.21}
    assert epoch_line(config, 1, 0.4, undefined, 5.0, is_best=False).endswith(
        "mAP -  F1 -  roc auc/macro -  5 movies/s  0.2 s"
    )


def test_a_phase_of_some_seconds_says_how_far_it_is(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.phase("fitting", 100, "models") as bar:
        for _ in range(3):
            now[0] += 4
            bar.update(10)
    assert capsys.readouterr().err == "fitting: 30 of 100 models, 2.5 per second, 28 s left\n"
    with progress.phase("fitting", 100, "models", shown=False) as bar:
        now[0] += 40
        bar.update(10)
    assert capsys.readouterr().err == ""
