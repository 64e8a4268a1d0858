"""Writes a report: one self-contained HTML page, and the same figures as PNG files."""

import base64
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from mmgenre.dataset.prepared import genre_difference
from mmgenre.errors import UserError
from mmgenre.evaluation import tables
from mmgenre.html.pages import render
from mmgenre.machine import files
from mmgenre.report import against_baselines, comparison, contents
from mmgenre.report.figures_overall import confused_pairs
from mmgenre.report.run_data import RunData
from mmgenre.report.style import Figure
from mmgenre.runs.directory import RunDirectory

PAGE: Final = "report.html"
FIGURES: Final = "report-figures"


def write_report(
    runs: Sequence[RunDirectory | str | os.PathLike[str]], out: str | os.PathLike[str] | None = None
) -> Path:
    """Writes the report of one run, or the comparison of several.

    Args:
      runs: finished runs.
      out: the page's file, which must not exist; the figures go into a folder beside it. By
        default the page is `report.html` in the (first) run's folder, which is renewed.

    Returns:
      The page's file.

    Raises:
      UserError: a run cannot be reported on, `out` exists, or cannot be written.
    """
    paths = [run.path if isinstance(run, RunDirectory) else run for run in runs]
    page = Path(out) if out is not None else _default_page([Path(path) for path in paths])
    figures_folder = page.with_name(FIGURES if page.name == PAGE else f"{page.stem}-figures")
    if out is not None:
        for path in (page, figures_folder):
            files.require_new(path)
    data = [RunData.load(path) for path in paths]
    if len(data) == 1:
        html, figures = _single(data[0])
    else:
        html, figures = _comparison(data)
    try:
        _write(page, figures_folder, html, figures)
    except OSError as error:
        raise UserError(f"cannot write {page}: {error.strerror}") from error
    return page


def figure_views(figures: Mapping[str, Figure]) -> dict[str, dict[str, str]]:
    """Returns figures as a template takes them, each with the address of its picture."""
    return {
        name: {
            "name": name,
            "title": figure.title,
            "caption": figure.caption,
            "src": "data:image/png;base64," + base64.b64encode(figure.png).decode("ascii"),
        }
        for name, figure in figures.items()
    }


def _single(data: RunData) -> tuple[str, Mapping[str, Figure]]:
    report = contents.scores(data)
    compared = against_baselines.columns(data)
    baselines = against_baselines.figure(compared)
    figures = contents.build_figures(data, report) | {baselines.name: baselines}
    html = render(
        "report.html.j2",
        name=data.name,
        note=contents.foreign_data_note(data),
        verdict=against_baselines.verdict(data, data.name),
        num_movies=report.num_movies,
        dataset=data.test.dataset_name,
        headline=tables.metric_table([report]),
        figures=figure_views(figures),
        genres=report.per_genre,
        baselines=against_baselines.rows(compared),
        compared_names=against_baselines.COMPARED,
        point_names=against_baselines.POINTS,
        branches=contents.branch_table(data),
        pairs=confused_pairs(data.genres, data.labels, data.answers.predicted),
        wrong=contents.movie_cards(data, data.movies.wrong),
        right=contents.movie_cards(data, data.movies.right),
        facts=contents.facts(data),
        settings=comparison.flat_settings(data.config),
        average_genres=report.genres_per_movie,
    )
    return html, figures


def _comparison(data: list[RunData]) -> tuple[str, Mapping[str, Figure]]:
    for other in data[1:]:
        if other.genres != data[0].genres:
            raise UserError(
                f"{other.run.path} has other genres than {data[0].run.path} "
                f"({genre_difference(data[0].genres, other.genres)}); compare runs on one list"
            )
    names = comparison.unique_names(data)
    reports = {name: contents.scores(run) for name, run in zip(names, data, strict=True)}
    figures = comparison.build_figures(dict(zip(names, data, strict=True)), reports)
    facts = [dict(contents.facts(run)) for run in data]
    html = render(
        "comparison.html.j2",
        names=names,
        warning=comparison.warning(data),
        verdicts=[v for v in map(against_baselines.verdict, data, names) if v is not None],
        rows=comparison.metric_rows(reports),
        differences=comparison.setting_differences(data),
        significance=comparison.differences_from_first(dict(zip(names, data, strict=True))),
        genres=comparison.genre_rows(reports),
        figures=figure_views(figures),
        facts=facts,
        fact_names=comparison.differing(facts),
    )
    return html, figures


def _default_page(paths: list[Path]) -> Path:
    if len(paths) == 1:
        return paths[0] / PAGE
    others = "-".join(path.name for path in paths[1:])
    return paths[0] / f"comparison-with-{others}.html"


def _write(page: Path, folder: Path, html: str, figures: Mapping[str, Figure]) -> None:
    """Writes the figures and the page, whole or not at all."""
    page.parent.mkdir(parents=True, exist_ok=True)
    with files.atomic_folder(folder, renew=True) as staged:
        for figure in figures.values():
            (staged / f"{figure.name}.png").write_bytes(figure.png)
        files.write_text(page, html)  # Within: no folder is left without its page.
