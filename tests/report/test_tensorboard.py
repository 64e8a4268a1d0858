"""What TensorBoard is given: scalars, settings, confusion matrices, PR curves."""

import json
import shutil

import numpy as np
import pytest

from mmgenre import schema
from mmgenre.report.tensorboard import write_test_evaluation
from mmgenre.runs.directory import RunDirectory


@pytest.mark.filterwarnings("ignore")
def test_everything_is_there(tiny_run, tmp_path):
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
    from tensorboard.util import tensor_util

    shutil.copytree(tiny_run.path, tmp_path / "run")
    run = RunDirectory.open(tmp_path / "run")
    write_test_evaluation(run)
    events = EventMultiplexer().AddRunsFromDirectory(str(run.tensorboard))
    events.Reload()
    (name,) = events.Runs()
    tags = events.Runs()[name]
    tensors = set(tags["tensors"])
    assert "train/loss" in tensors and "validation/f1/micro" in tensors
    assert "test/confusion" in tensors
    evaluation = json.loads((tiny_run.path / "evaluation-test.json").read_text())
    scores = {
        "test/f1/micro": evaluation["operating_points"]["for micro F1"]["f1"]["micro"],
        "test/f1/macro": evaluation["operating_points"]["for macro F1"]["f1"]["macro"],
        "test/roc_auc/macro": evaluation["roc_auc"]["macro"],
        "test/average_precision/macro": evaluation["average_precision"]["macro"],
        "test/log_loss": evaluation["log_loss"],
    }
    for tag, value in scores.items():
        (event,) = events.Tensors(name, tag)
        shown = tensor_util.make_ndarray(event.tensor_proto)
        assert shown == pytest.approx(value, rel=1e-5), tag
    assert {f"test/{genre}/pr_curves" for genre in schema.GENRES} <= tensors
    assert "_hparams_/session_start_info" in str(events.PluginRunToTagToContent("hparams"))
    (event,) = events.Tensors(name, "test/all genres/pr_curves")
    curve = np.frombuffer(event.tensor_proto.tensor_content, np.float32).reshape(6, -1)
    true_positives, false_positives, true_negatives, false_negatives, precision, recall = curve
    total = true_positives + false_positives + true_negatives + false_negatives
    assert (total == total[0]).all() and recall[0] == 1
    assert (np.diff(recall) <= 0).all() and ((precision >= 0) & (precision <= 1)).all()
