"""What a child does so that rows of tables in place can be read that no index leads to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scheduler.reading import source_of
from scheduler.relating import at_moment, typed_alike

if TYPE_CHECKING:
    from automl.data.options import ReadingLimits
    from automl.relations.spec import Spec
    from automl.relations.stored import Stored
    from automl.relations.tables import Integers

ANY_MOMENT = datetime(2000, 1, 1, tzinfo=UTC)  # of one cut-off for all: it orders nothing


def for_everybody(
    stored: Stored,
    made_of: Mapping[str, Any] | None,
    folder: Path,
    *,
    columns: Mapping[str, Sequence[str]],
) -> Stored:
    """Tables with the rows of every entity: those there are, where they have them all.

    Parameters
    ----------
    made_of : `spec`, `tables`, `relations` and `limits` of what they were put together from; None
        where that is not there any more, or all is there anyway
    folder : for what has to be written out, as long as it is read
    columns : by table, which will be read

    Raises
    ------
    DataError
        ``source_changed``, and what reading the files raises.
    """
    from automl.relations.whole import not_for_all, written_out

    if made_of is None or not not_for_all(stored, list(columns)):
        return stored
    spec, sources, limits = _sources(made_of, folder)
    return written_out(stored, spec, sources, folder / "relations", columns=columns, limits=limits)


def for_positions(
    stored: Stored, made_of: Mapping[str, Any], folder: Path, *, positions: Integers
) -> Stored:
    """Tables with an index of the rows of these entities too; as `for_everybody` else."""
    from automl.relations.whole import looked_for

    spec, sources, limits = _sources(made_of, folder)
    return looked_for(
        stored, spec, sources, folder / "relations", positions=positions, limits=limits
    )


def _sources(
    made_of: Mapping[str, Any], folder: Path
) -> tuple[Spec, dict[str, Any], ReadingLimits]:
    """The spec as it was read, and the files of each table."""
    from automl.data.options import ReadingLimits
    from automl.relations.objects import file_of
    from automl.relations.spec import Spec

    tables = made_of["tables"]
    declared = typed_alike(Spec.from_json(made_of["spec"]), made_of["relations"], tables)
    parts = folder / "parts"
    parts.mkdir(parents=True)
    own = {
        name: source_of(one).write(parts / f"{name}.part")
        for name, one in tables.items()
        if "files" not in one
    }
    in_place = {
        name: [file_of(file) for file in one["files"]]
        for name, one in tables.items()
        if "files" in one
    }
    limits = ReadingLimits(**made_of["limits"])
    return at_moment(declared, ANY_MOMENT), {**own, **in_place}, limits
