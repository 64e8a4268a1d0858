"""Audit of what was kept, what was dropped and why: `audit.json`, and the table of it."""

from typing import Any, Final

from etils import epath
from tabulate import tabulate

from data_prep.metadata.read import ReadOutcome
from data_prep.splits import duplicates
from data_prep.splits.split import SplitOutcome
from data_prep.workspace import pixel_parts
from mmgenre.dataset import prepared
from mmgenre.dataset.prepared import DatasetInfo
from mmgenre.machine import files

_SHOWN: Final = 40  # Genres in the table; the file has all.
_SHOWN_UNLISTED: Final = 10


def audit(
    info: DatasetInfo,
    rows: ReadOutcome,
    statuses: dict[str, int],
    corrupt: dict[str, str],
    splits: SplitOutcome,
    presence: dict[str, Any],
) -> dict[str, Any]:
    """Collects the counts of all stages; rows read = kept + dropped, or it raises.

    Args:
      info: of the data set.
      rows: what reading kept and dropped.
      statuses: how many movies' posters have each status.
      corrupt: why posters are corrupt, by their poster paths; at most so many as are to be named.
      splits: what splitting made and dropped.
      presence: posters and overviews of each split.
    """
    dropped = rows.dropped | splits.dropped
    kept = sum(split.num_movies for split in info.splits.values())
    if rows.rows != kept + sum(dropped.values()):
        raise AssertionError(f"{rows.rows} rows read, {kept} kept, {dropped} dropped")
    found = statuses.get(pixel_parts.FOUND, 0)
    without = {why: count for why, count in sorted(statuses.items()) if why != pixel_parts.FOUND}
    return {
        "name": info.name,
        "fingerprint": info.fingerprint,
        "rows": {
            "form": rows.form,
            "read": rows.rows,
            "kept": kept,
            "dropped": dropped,
            "quoted": rows.quoted,
            "notes": rows.notes,
            "unlisted_genres": rows.unlisted,
        },
        "posters": {
            "found": found,
            "missing": sum(n for why, n in without.items() if why.startswith("missing")),
            "corrupt": sum(n for why, n in without.items() if why.startswith("corrupt")),
            "without": without,
            "corrupt_posters": corrupt,
        },
        "duplicates_merged": dropped.get(duplicates.DUPLICATE, 0),
        "copies": {
            "groups": splits.groups,
            "movies": splits.grouped,
            "largest_group": splits.largest_group,
            "sharing": splits.copies,
            "across_the_catalogues_splits": splits.leaks,
        },
        "genres": {
            genre: sum(split.genre_counts[place] for split in info.splits.values())
            for place, genre in enumerate(info.genres)
        },
        "splits": {
            name: {
                "movies": split.num_movies,
                **presence[name],
                "shards": len(split.shard_sizes),
                "genres": dict(zip(info.genres, split.genre_counts, strict=True)),
            }
            for name, split in info.splits.items()
        },
    }


def write(out: epath.Path, report: dict[str, Any]) -> None:
    """Writes `audit.json`."""
    files.write_json(out / prepared.AUDIT_FILE, report)


def table(report: dict[str, Any]) -> str:
    """The report for reading."""
    rows = report["rows"]
    lines: list[tuple[str, Any]] = [("rows read", rows["read"]), ("kept", rows["kept"])]
    for reason, count in rows["dropped"].items():
        quoted = rows.get("quoted", {}).get(reason)
        lines.append((f"dropped: {reason}" + (f", such as {quoted!r}" if quoted else ""), count))
    lines += [(f"note: {note}", count) for note, count in rows["notes"].items()]
    unlisted = list(rows.get("unlisted_genres", {}).items())
    lines += [(f"on no list: {genre}", count) for genre, count in unlisted[:_SHOWN_UNLISTED]]
    if len(unlisted) > _SHOWN_UNLISTED:
        lines.append(("on no list: other names", sum(n for _, n in unlisted[_SHOWN_UNLISTED:])))
    lines += [("posters found", report["posters"]["found"])]
    lines += [(f"poster: {why}", count) for why, count in report["posters"]["without"].items()]
    copies = report["copies"]
    lines += [("groups of the same movie", copies["groups"])]
    lines += [(f"movies that share: {kind}", count) for kind, count in copies["sharing"].items()]
    leaks = copies.get("across_the_catalogues_splits", {})
    lines += [(f"leak: movies in two splits by {kind}", count) for kind, count in leaks.items()]
    splits = report["splits"]
    most_common = sorted(report["genres"], key=lambda genre: -report["genres"][genre])[:_SHOWN]
    facts = ("movies", "posters", "overviews", "shards")
    body = [[fact, *(f"{split[fact]:,}" for split in splits.values())] for fact in facts]
    body += [
        [
            genre,
            *(
                f"{split['genres'][genre]:,} ({split['genres'][genre] / split['movies']:.1%})"
                for split in splits.values()
            ),
        ]
        for genre in most_common
    ]
    if len(report["genres"]) > len(most_common):
        body.append([f"and {len(report['genres']) - len(most_common):,} more genres"])
    align = ("left", *("right" for _ in splits))
    return (
        tabulate(lines, tablefmt="plain", intfmt=",")
        + "\n\n"
        + tabulate(body, ["", *splits], intfmt=",", colalign=align)
    )
