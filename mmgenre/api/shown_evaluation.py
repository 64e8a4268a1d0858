"""A run's evaluation as a notebook shows it: a few rows, as text and as HTML."""

import dataclasses
import html
from typing import Final

from mmgenre.evaluation import summary, tables
from mmgenre.evaluation.results import Evaluation, NotFitted, RunEvaluation

_HEADERS: Final = ("", "F1 micro", "F1 macro", "ROC AUC macro", "AP macro", "its 95% interval")


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class ShownEvaluation(RunEvaluation):
    """A `RunEvaluation` that shows itself: in 80 columns, and in a notebook as a table."""

    def __repr__(self) -> str:
        return summary.of_run(self).lstrip("\n")

    def _repr_html_(self) -> str:
        lines = [*summary.headlines(self, self.run), self.warning or ""]
        rows = [
            _row(name, each)
            for name, each in summary.compared(self, self.run).items()
            if not isinstance(each, NotFitted)
        ]
        return (
            "".join(f"<p>{html.escape(line)}</p>" for line in lines if line)
            + f"<table><thead>{_cells('th', list(_HEADERS))}</thead><tbody>"
            + "".join(_cells("td", row) for row in rows)
            + "</tbody></table>"
        )


def _row(name: str, evaluation: Evaluation) -> list[str]:
    found = tables.compared(evaluation)
    values = ["-" if one.value is None else f"{one.value:.3f}" for one in found]
    ends = found[-1].interval
    return [name, *values, "-" if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}"]


def _cells(tag: str, row: list[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in row)}</tr>"
