"""A run's evaluation as a notebook shows it: a few rows, as text and as HTML."""

import dataclasses
import html
from collections.abc import Iterator
from typing import Final

from tabulate import tabulate

from mmgenre.evaluation import tables
from mmgenre.evaluation.results import (
    BaselineEvaluation,
    Baselines,
    NotFitted,
    RunEvaluation,
)
from mmgenre.evaluation.verdict import against_best_baseline

_HEADERS: Final = ("", "F1 micro", "F1 macro", "ROC AUC", "AP macro", "95% interval of AP")


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class ShownEvaluation(RunEvaluation):
    """A `RunEvaluation` that a notebook shows as a table, with the baselines beside it."""

    def __repr__(self) -> str:
        table = tabulate(self._rows(), headers=_HEADERS, disable_numparse=True)
        return "\n\n".join(filter(None, (self._title(), table, self._verdict())))

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(name)}</th>" for name in _HEADERS)
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self._rows()
        )
        verdict = f"<p>{html.escape(self._verdict())}</p>" if self._verdict() else ""
        return (
            f"<p>{html.escape(self._title())}</p><table><thead><tr>{head}</tr></thead>"
            f"<tbody>{rows}</tbody></table>{verdict}"
        )

    def _title(self) -> str:
        return (
            f"{self.run} (step {self.step}) on {self.num_movies:,} movies: {self.data.name}, "
            f"split {self.data.split}"
        )

    def _verdict(self) -> str:
        verdict = against_best_baseline(self.run, self, dict(_named(self.baselines)))
        return "" if verdict is None else f"{verdict}."

    def _rows(self) -> list[list[str]]:
        rows = []
        for name, each in ((self.run, self), *_named(self.baselines)):
            if isinstance(each, NotFitted):
                continue
            found = tables.compared(each)
            ends = found[-1].interval
            interval = "-" if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}"
            values = ["-" if one.value is None else f"{one.value:.3f}" for one in found]
            rows.append([name, *values, interval])
        return rows


def _named(baselines: Baselines) -> Iterator[tuple[str, BaselineEvaluation | NotFitted]]:
    for name, each in baselines.items():
        yield name.replace("_", " "), each
