"""Life-cycle emissions of each kind of plant, by the codes of ENTSO-E."""

from __future__ import annotations

# gCO2eq/kWh. IPCC, Fifth Assessment Report (2014), Working Group III, Annex III, Table A.III.2,
# medians of life-cycle emissions:
# https://www.ipcc.ch/site/assets/uploads/2018/02/ipcc_wg3_ar5_annex-iii.pdf
_COAL, _GAS, _BIOMASS, _GEOTHERMAL, _HYDRO, _OCEAN, _NUCLEAR = 820, 490, 230, 38, 24, 17, 12
_SOLAR, _WIND_OFFSHORE, _WIND_ONSHORE = 48, 12, 11
# The table has no oil: about 650 by the UK Parliamentary Office of Science and Technology, Carbon
# footprint of electricity generation, POSTnote 268 (2006).
_OIL = 650

LIFECYCLE_GRAMS: dict[str, float] = {
    "B01": _BIOMASS,
    "B02": _COAL,  # lignite; the table has one line for coal, and lignite is the dirtier end of it
    "B03": _GAS,  # gas made from coal
    "B04": _GAS,
    "B05": _COAL,
    "B06": _OIL,
    "B07": _COAL,  # oil shale, burnt as a solid
    "B08": _COAL,  # peat, likewise
    "B09": _GEOTHERMAL,
    "B11": _HYDRO,
    "B12": _HYDRO,
    "B13": _OCEAN,
    "B14": _NUCLEAR,
    "B16": _SOLAR,
    "B17": _BIOMASS,  # waste: part of it grew, part of it was oil
    "B18": _WIND_OFFSHORE,
    "B19": _WIND_ONSHORE,
}
# What stores took in was counted when it was made (pumped hydro, batteries); of "other" and "other
# renewable" nobody says what they are, so they count as the rest of the mix does.
LEFT_OUT = frozenset(("B10", "B15", "B20", "B25"))
