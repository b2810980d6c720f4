"""What the frugality report tells of savings: by doing less, and by waiting, never mixed up."""

from __future__ import annotations

from api.frugality_facts import Facts
from api.frugality_figures import NOT_KNOWN, figure
from api.quantities import duration, energy, share
from api.schemas_frugality import Later, Less
from automl.cost import JOULES_PER_KWH
from scheduler.equivalents import readable

# Below this a saving is rounding; `scheduler.pricing.NOISE` is a share, this is grams.
NO_GRAMS = 1e-12


def saved(grams: float | None) -> str:
    """A saving in words; a negative one says so.

    >>> saved(0.0012), saved(-0.5), saved(0.0), saved(None)
    ('1.2 mg less', '500 mg more: nothing was saved', 'nothing', 'not known')
    """
    if grams is None:
        return NOT_KNOWN
    if abs(grams) < NO_GRAMS:
        return "nothing"
    if grams < 0:
        return f"{readable(-grams)} more: nothing was saved"
    return f"{readable(grams)} less"


def less_of(facts: Facts) -> Less:
    """What doing less saved, by expectation, and what was not trained on, as counted."""
    less = facts.less
    brute, start = less.get("brute_force"), less.get("start")
    found, notes = [], []
    if brute is not None:
        kwh = brute["expected_joules"] / JOULES_PER_KWH
        grams = brute["expected_gco2e"]
        found += [
            figure("brute_energy", "Brute force, expected energy", kwh, "kWh", energy(kwh)),
            figure("brute_gco2", "Brute force, expected CO2e", grams, "g", readable(grams)),
        ]
        notes.append(
            "Against a brute-force search (60 trials of five folds), as it is expected to cost by "
            "the same cost model: it did not run, so this is no measurement."
        )
        if brute.get("uncertainty"):
            notes.append(str(brute["uncertainty"]))
    else:
        notes.append("Nobody said what brute force would have taken: no saving is claimed.")
    if less.get("share_of_rows") is not None:
        part = less["share_of_rows"]
        found.append(
            figure(
                "share_of_rows", "Rows fitted on, of all rows each time", part, None, share(part)
            )
        )
    if start is not None and start.get("expected_saved_gco2e") is not None:
        grams = start["expected_saved_gco2e"]
        found.append(
            figure("start_saved", "Spared by the model it started from", grams, "g", saved(grams))
        )
    grams = None if brute is None else brute["expected_saved_gco2e"]
    return Less(
        figures=found, saved_gco2=grams, saved_text=saved(grams), is_expectation=True, notes=notes
    )


def later_of(facts: Facts) -> Later:
    """What waiting saved: of the bill, the same joules priced from the submission on."""
    later = facts.later
    grams = later.get("saved_gco2e")
    found = []
    for name, label in (
        ("gco2e", "Emitted, the reading of the data left out"),
        ("gco2e_at_submission", "The same begun at the submission"),
        ("planned_saving_gco2e", "Saving that the plan expected"),
    ):
        if later.get(name) is not None:
            found.append(figure(name, label, later[name], "g", readable(later[name])))
    waited = (later.get("waited_seconds") or 0.0) + (later.get("paused_seconds") or 0.0)
    at_once = later.get("policy") == "now"
    if later:
        label = "In the queue, starting, and between phases" if at_once else "Waited and paused"
        found.append(figure("waited", label, waited, "s", duration(waited)))
    notes = []
    if not later:
        notes.append("There is no bill yet.")
    elif at_once:
        notes.append("It was not put off: nothing was moved to a cleaner hour.")
    if later and grams is None:
        notes.append("The hours compared are priced by several sources, which do not compare.")
    if later.get("provisional"):
        notes.append("Provisional: intensities not yet published are looked up again.")
    return Later(
        figures=found,
        saved_gco2=grams,
        saved_text=saved(grams),
        provisional=bool(later.get("provisional")),
        notes=notes,
    )
