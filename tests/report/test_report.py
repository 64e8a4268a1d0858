"""The report: whole, self-contained, readable in a browser; comparisons; mistakes."""

import html
import json
import re
import shutil

import numpy as np
import pytest

from mmgenre import schema
from mmgenre.decisions.decision_rule import DecisionRule
from mmgenre.decisions.situations import SituationRules
from mmgenre.evaluation import curves
from mmgenre.report import against_baselines, comparison, contents
from mmgenre.report.page import write_report
from mmgenre.report.run_data import RunData
from tests import browser
from tests.commands import run_module, run_several

NAME = r"$\frac$ <i>with-thresholds & {{name}}"
"""Of a run: no formula, no element, no template."""


@pytest.fixture(scope="module")
def reported_run(tiny_run, tmp_path_factory):
    """A copy of the run, with fitted thresholds, a report, and a name full of marks."""
    folder = tmp_path_factory.mktemp("report") / NAME
    shutil.copytree(tiny_run.path, folder)
    thresholds = tuple(np.linspace(0.1, 0.4, schema.NUM_GENRES))
    rule = DecisionRule(thresholds=thresholds, chosen_on="validation")
    SituationRules.same(rule).save(folder)
    process = run_module("mmgenre.report", "--run", folder)
    assert process.returncode == 0, process.stderr
    assert "report.html" in process.stdout
    return folder


def test_the_page_says_all(reported_run):
    page = (reported_run / "report.html").read_text()
    for genre in schema.GENRES:
        assert f"<td>{genre}</td>" in page
    for words in ("Calibration", "Confusion matrices", "TF-IDF", "most wrong", "jax 0.", "Seed"):
        assert words in page
    figures = {path.stem for path in (reported_run / "report-figures").glob("*.png")}
    assert figures >= {
        "curve-accuracy", "curve-loss", "curve-f1", "common-genres", "confusion", "per-genre",
        "precision-recall", "roc", "f1-threshold", "calibration", "together", "confused",
        "branches", "modality-shares", "baselines",
    }  # fmt: skip
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    assert str(reported_run.parent) not in page
    assert re.search(r"is (ahead of|level with|behind) .+ in micro F1 \(\d", page)


def test_a_report_needs_the_run_directory_alone(reported_run, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(reported_run, moved)
    shutil.rmtree(moved / "checkpoints")
    (moved / "predictions-validation.npz").unlink()
    (moved / "sessions.jsonl").unlink()
    evaluation = json.loads((moved / "evaluation-test.json").read_text())
    for report in (evaluation, *evaluation["baselines"].values()):  # As older programs wrote it.
        del report["operating_points"], report["confidence_intervals"]
    (moved / "evaluation-test.json").write_text(json.dumps(evaluation))
    page = write_report([moved], tmp_path / "page.html")
    assert "Science Fiction" in page.read_text()
    assert len(list((tmp_path / "page-figures").iterdir())) == 15


@pytest.mark.parametrize("changed", [False, True])
def test_the_model_and_its_baselines_have_thresholds_chosen_alike(tiny_run, reported_run, changed):
    data = RunData.load(reported_run if changed else tiny_run.path)
    model, *baselines = against_baselines.rows(against_baselines.columns(data))
    scores = contents.scores(data)  # At the thresholds in use.
    expected = [scores.f1.micro, scores.f1.macro, scores.roc_auc.macro]
    expected.append(scores.average_precision.macro)
    assert [each.value for each in model.compared[1:]] == pytest.approx(expected[1:])
    assert model.compared[0].value == model.f1[1].micro
    assert (model.f1[-1].micro, model.f1[-1].macro) == pytest.approx(expected[:2])
    for each in model.compared[:2]:
        low, high = each.interval
        assert low <= each.value <= high
    stored = data.evaluation.baselines.values()
    for row, baseline in zip(baselines, stored, strict=True):
        fitted = baseline.operating_points["for macro F1"].f1
        assert row.compared[1].value == fitted.macro and row.f1[-1].micro == fitted.micro
        assert row.compared[0].value == baseline.operating_points["for micro F1"].f1.micro
        assert (row.f1[0].micro, row.f1[0].macro) == (baseline.f1.micro, baseline.f1.macro)


def check_in_browser(page):
    with browser.chromium() as chromium:
        for width in (1280, 390):
            browser.resize(chromium, width)
            browser.requested_urls(chromium)
            chromium.get(page.as_uri())
            assert browser.console_errors(chromium) == []
            urls = {
                u
                for u in browser.requested_urls(chromium)
                if not u.startswith(("chrome:", "chrome-untrusted:"))
            }
            assert {u for u in urls if not u.startswith("data:")} == {page.as_uri()}
            sizes = chromium.execute_script(
                "return [...document.images].map(i => [i.complete && i.naturalWidth, i.alt,"
                " i.getBoundingClientRect().width])"
            )
            assert sizes
            for natural, alt, shown in sizes:
                assert natural and alt
                assert shown >= 80
            # Nothing sticks out sideways: what is wider scrolls within its own box.
            assert chromium.execute_script("return document.documentElement.scrollWidth") <= width
            smallest = chromium.execute_script(
                "return Math.min(...[...document.querySelectorAll('p,td,th,h1,h2,h3,figcaption,a')]"
                ".filter(e => e.offsetParent).map(e => parseFloat(getComputedStyle(e).fontSize)))"
            )
            assert smallest >= 11


def test_the_page_in_a_browser(reported_run):
    check_in_browser(reported_run / "report.html")


def test_a_comparison_in_a_browser(reported_run, tiny_run, tmp_path):
    page = write_report([tiny_run.path, reported_run], tmp_path / "both.html")
    text = page.read_text()
    assert f"{html.escape(NAME)} against tiny" in text and "<i>with" not in text
    assert "paired bootstrap" in text
    check_in_browser(page)


def test_what_is_the_same_is_not_listed_as_a_difference():
    facts = [{"run": "a", "Data set": "x", "a.b": 1}, {"run": "b", "Data set": "x", "seed": "X"}]
    assert comparison.differing(facts) == ["run", "a.b", "seed"]
    assert comparison.differing(facts[:1] * 2) == []


def test_mistakes(reported_run, tiny_run, tmp_path):
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    for file in ("config.json", "dataset.json", "tokenizer.json"):
        (fresh / file).write_bytes((tiny_run.path / file).read_bytes())
    unevaluated = tmp_path / "unevaluated"
    shutil.copytree(tiny_run.path, unevaluated)
    (unevaluated / "evaluation-test.json").unlink()
    damaged = tmp_path / "damaged"
    shutil.copytree(tiny_run.path, damaged)
    (damaged / "predictions-test.npz").write_bytes(b"PK\x03\x04")
    there = tmp_path / "there.html"
    there.write_text("mine")
    before = sorted(tmp_path.iterdir())
    cases = [
        (["--run", tmp_path / "none"], "no such folder"),
        (["--run", fresh], "has no checkpoint yet"),
        (["--run", unevaluated], "has not been evaluated yet"),
        (["--run", damaged], "predictions-test.npz is damaged"),
        (["--run", reported_run, "--run", tmp_path / "none"], "no such folder"),
        (["--run", reported_run, "--out", there], "there.html exists"),
        ([], "--run"),
    ]
    results = run_several("mmgenre.report", [arguments for arguments, _ in cases])
    for (arguments, message), (code, out, error) in zip(cases, results, strict=True):
        assert code == 2 and out == "", (arguments, error)
        assert message in error.strip().splitlines()[-1], (arguments, error)
    assert sorted(tmp_path.iterdir()) == before
    assert there.read_text() == "mine"


def test_curves_by_hand():
    labels = np.array([True, False, True, False])
    probabilities = np.array([0.9, 0.8, 0.8, 0.1])
    curve = curves.ranked_curve(labels, probabilities)
    np.testing.assert_array_equal(curve.predicted, [0, 1, 3, 4])
    np.testing.assert_array_equal(curve.true_positives, [0, 1, 2, 2])
    np.testing.assert_allclose(curve.f1, [0, 2 / 3, 4 / 5, 2 / 3])
    assert curves.point_at(curve, 0.95) == 0
    assert curves.point_at(curve, 0.8) == 2


def test_calibration_by_hand():
    labels = np.array([0, 1, 1, 1])
    means, shares, counts = curves.calibration(labels, np.array([0.05, 0.05, 0.95, 1.0]))
    np.testing.assert_allclose(means, [0.05, 0.975])
    np.testing.assert_allclose(shares, [0.5, 1])
    np.testing.assert_array_equal(counts, [2, 2])
