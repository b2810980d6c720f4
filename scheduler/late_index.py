"""An index of a job's own, where it learns from entities that the tables' index does not lead to.

Files that stay where they are were scanned for the entities that a search was expected to read: the
first ones, and those that were positive then. Labels that come later make others positive.
"""

from __future__ import annotations

import logging
import shutil
from typing import TYPE_CHECKING

from scheduler.records import StoredDataset
from scheduler.rewriting import for_positions
from scheduler.sources import made_of
from scheduler.work import Work

if TYPE_CHECKING:
    from automl.relations.stored import Stored
    from automl.relations.tables import Integers

log = logging.getLogger(__name__)

FOLDER, PART, RELATIONS = "index", "index.part", "relations"


def leading_to(work: Work, stored: StoredDataset, tables: Stored, positions: Integers) -> Stored:
    """The tables of a job's data set with an index that leads to the rows of these entities.

    They are as they are where the index does; else key and time are scanned once more, which lies
    with the job's other files, for whoever resumes it, and goes with them at its end.

    Raises
    ------
    DataError
        ``source_changed``, and what reading the files raises.
    """
    from automl.relations.stored import Stored
    from automl.relations.whole import not_looked_for

    names = not_looked_for(tables, positions)
    if not names:
        return tables
    whole = work.artifacts.path(f"jobs/{work.job.id}") / FOLDER
    if not whole.exists():
        sources = made_of(
            stored, store=work.store, artifacts=work.artifacts, settings=work.settings
        )
        if sources is None:
            return tables  # reading says what is missing
        log.info("job %s: looks for further rows of %s", work.job.id, ", ".join(names))
        part = whole.with_name(PART)
        shutil.rmtree(part, ignore_errors=True)  # of a process that died
        part.mkdir(parents=True)
        tables = for_positions(tables, sources, part, positions=positions)
        part.rename(whole)
    found = Stored(whole / RELATIONS)
    found.bytes_read.update(tables.bytes_read)
    return found
