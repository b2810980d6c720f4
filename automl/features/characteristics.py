"""Characteristics of the shape of a series: sixteen of catch22, of many series of equal length.

Lubba et al., "catch22: CAnonical Time-series CHaracteristics", Data Mining and Knowledge Discovery
2019, from the definitions there. Every one is computed row by row, so what a series gets does not
depend on those beside it. Left out, since they cost more than all others together: the two outlier
timings, the periodicity after a spline, the distances in an embedding, and the two fluctuation
analyses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Truths = npt.NDArray[np.bool_]

# Below this the spread is rounding: the series is constant.
ROUNDING = 1e-12
# Shorter series have no shape.
LEAST_VALUES = 8


@dataclass(frozen=True)
class Series:
    """Series of one length with a spread, shape (n_series, n_values), standardised by row."""

    values: Floats

    @classmethod
    def standardised(cls, raw: Floats) -> Series:
        """Less the mean, over the standard deviation (n - 1)."""
        away = raw - raw.mean(axis=1, keepdims=True)
        spread = np.sqrt((away**2).sum(axis=1, keepdims=True) / (raw.shape[1] - 1))
        return cls(away / spread)

    @property
    def length(self) -> int:
        return int(self.values.shape[1])

    @cached_property
    def autocorrelation(self) -> Floats:
        """By lag from 0, shape (n_series, n_values)."""
        return autocorrelation(self.values)

    @cached_property
    def first_zero(self) -> Integers:
        """First lag at which the autocorrelation is not positive; the length if none is."""
        return first(self.autocorrelation <= 0, otherwise=self.length)

    @cached_property
    def ordered(self) -> Floats:
        return np.sort(self.values, axis=1)

    @cached_property
    def spectrum(self) -> tuple[Floats, float]:
        """Power by frequency, padded to a power of two, and the step in radians per value."""
        size = 1 << (self.length - 1).bit_length()
        power = np.abs(np.fft.rfft(self.values, size, axis=1)) ** 2 / self.length
        power[:, 1:-1] *= 2
        return power / (2 * np.pi), 2 * np.pi / size


def constant(raw: Floats) -> Truths:
    """Rows without a spread."""
    return np.asarray(raw.std(axis=1) <= ROUNDING * np.abs(raw).max(axis=1))


def autocorrelation(values: Floats) -> Floats:
    """Of each row by lag, not corrected for the fewer pairs at long lags."""
    n = values.shape[1]
    away = values - values.mean(axis=1, keepdims=True)
    size = 1 << (2 * n - 1).bit_length()
    power = np.abs(np.fft.rfft(away, size, axis=1)) ** 2
    found = np.fft.irfft(power, size, axis=1)[:, :n]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(found / found[:, :1])


def first(hit: Truths, *, otherwise: int) -> Integers:
    """Position of the first hit in each row."""
    return np.where(hit.any(axis=1), hit.argmax(axis=1), otherwise)


def longest_run(hit: Truths) -> Floats:
    """Length of the longest run of hits in each row."""
    at = np.arange(hit.shape[1])
    missed = np.maximum.accumulate(np.where(hit, -1, at), axis=1)
    run: Integers = np.where(hit, at - missed, 0).max(axis=1)
    return run.astype(np.float64)


def counts(codes: Integers, n_codes: int) -> Integers:
    """How often each code occurs in each row, shape (n_rows, n_codes)."""
    flat = codes + n_codes * np.arange(len(codes))[:, None]
    return np.bincount(flat.ravel(), minlength=n_codes * len(codes)).reshape(len(codes), n_codes)


def thirds(values: Floats, ordered: Floats) -> Integers:
    """0, 1 or 2 by thirds of each row's values, quantiles as Hazen has them."""
    n = values.shape[1]
    codes = np.zeros(values.shape, dtype=np.int64)
    for share in (1 / 3, 2 / 3):
        at = min(max(n * share - 0.5, 0), n - 1)
        low = int(at)
        high = min(low + 1, n - 1)
        edge = ordered[:, low] + (at - low) * (ordered[:, high] - ordered[:, low])
        codes += values > edge[:, None]
    return codes


def mode(series: Series, n_bins: int) -> Floats:
    """Middle of the fullest of equal bins from the least to the greatest; of ties the mean."""
    low, high = series.ordered[:, :1], series.ordered[:, -1:]
    width = (high - low) / n_bins
    codes = np.minimum(((series.values - low) / width).astype(np.int64), n_bins - 1)
    found = counts(codes, n_bins)
    fullest = found == found.max(axis=1, keepdims=True)
    middle = low + width * (np.arange(n_bins) + 0.5)
    return np.asarray((middle * fullest).sum(axis=1) / fullest.sum(axis=1))


def acf_1e(series: Series) -> Floats:
    """Lag at which the autocorrelation falls below 1/e, between lags on a straight line."""
    acf, level = series.autocorrelation, np.exp(-1.0)
    at = first(acf < level, otherwise=0)
    rows = np.arange(len(acf))
    before, after = acf[rows, np.maximum(at - 1, 0)], acf[rows, at]
    with np.errstate(divide="ignore", invalid="ignore"):
        place = at - 1 + (level - before) / (after - before)
    return np.where(at > 0, place, float(series.length))


def acf_minimum(series: Series) -> Floats:
    """First lag at which the autocorrelation has a minimum."""
    return first_minimum(series.autocorrelation, otherwise=series.length).astype(np.float64)


def first_minimum(values: Floats, *, otherwise: int) -> Integers:
    """Position of the first value below both of its neighbours in each row."""
    inner = values[:, 1:-1]
    hit = (inner < values[:, :-2]) & (inner < values[:, 2:])
    return np.where(hit.any(axis=1), hit.argmax(axis=1) + 1, otherwise)


def low_power(series: Series) -> Floats:
    """Power in the lowest fifth of the frequencies."""
    power, step = series.spectrum
    return np.asarray(power[:, : power.shape[1] // 5].sum(axis=1) * step)


def centroid(series: Series) -> Floats:
    """Frequency, in radians per value, below which half of the power is."""
    power, step = series.spectrum
    total = np.cumsum(power, axis=1)
    return np.asarray(first(total > total[:, -1:] / 2, otherwise=0) * step, dtype=np.float64)


def error3(series: Series) -> Floats:
    """Standard deviation of the errors when the mean of three values forecasts the next."""
    values = series.values
    error = values[:, 3:] - (values[:, :-3] + values[:, 1:-2] + values[:, 2:-1]) / 3
    return np.asarray(error.std(axis=1, ddof=1))


def residual_ratio(series: Series) -> Floats:
    """How much sooner changes are uncorrelated than values: ratio of their first zeros."""
    changes = np.diff(series.values, axis=1)
    zero = first(~(autocorrelation(changes) > 0), otherwise=series.length - 1)
    return zero / series.first_zero


def pnn40(series: Series) -> Floats:
    """Share of changes by more than 0.04 standard deviations."""
    return np.asarray((np.abs(np.diff(series.values, axis=1)) > 0.04).mean(axis=1))


def above_run(series: Series) -> Floats:
    """Longest run of values above the mean."""
    return longest_run(series.values > 0)


def falling_run(series: Series) -> Floats:
    """Longest run of falls."""
    return longest_run(np.diff(series.values, axis=1) < 0)


def motif_entropy(series: Series) -> Floats:
    """Entropy, in nats, of pairs of neighbours once values are thirds."""
    codes = thirds(series.values, series.ordered)
    share = counts(3 * codes[:, :-1] + codes[:, 1:], 9) / (series.length - 1)
    return -np.asarray((share * np.log(np.where(share > 0, share, 1.0))).sum(axis=1))


def mutual_information(series: Series) -> Floats:
    """Of values two apart, in nats, in five equal bins a little wider than the range."""
    low, high = series.ordered[:, :1] - 0.1, series.ordered[:, -1:] + 0.1
    codes = np.minimum(((series.values - low) / ((high - low) / 5)).astype(np.int64), 4)
    n = series.length - 2
    both = counts(5 * codes[:, :-2] + codes[:, 2:], 25).reshape(-1, 5, 5) / n
    alone = both.sum(axis=2)[:, :, None] * both.sum(axis=1)[:, None, :]
    ratio = np.where(both > 0, both / np.where(alone > 0, alone, 1.0), 1.0)
    return np.asarray((both * np.log(ratio)).reshape(len(both), 25).sum(axis=1))


def asymmetry(series: Series) -> Floats:
    """Mean cube of the changes: whether it rises otherwise than it falls."""
    return np.asarray((np.diff(series.values, axis=1) ** 3).mean(axis=1))


def mutual_minimum(series: Series) -> Floats:
    """First minimum of the mutual information of a Gaussian, by lag from 1 to at most 40."""
    most = min(40, (series.length + 1) // 2)
    found = np.empty((len(series.values), most))
    for lag in range(1, most + 1):
        one, other = series.values[:, :-lag], series.values[:, lag:]
        one = one - one.mean(axis=1, keepdims=True)
        other = other - other.mean(axis=1, keepdims=True)
        both = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
        with np.errstate(divide="ignore", invalid="ignore"):
            found[:, lag - 1] = -0.5 * np.log(1 - ((one * other).sum(axis=1) / both) ** 2)
    return first_minimum(found, otherwise=most).astype(np.float64)


def transitions(series: Series) -> Floats:
    """Spread of the transitions between thirds, at steps of the first zero of autocorrelation."""
    out = np.empty(len(series.values))
    for step in np.unique(series.first_zero).tolist():
        rows = series.first_zero == step
        values = series.values[rows][:, ::step]
        codes = thirds(values, np.sort(values, axis=1))
        pairs = max(values.shape[1] - 1, 1)
        share = counts(3 * codes[:, :-1] + codes[:, 1:], 9).reshape(-1, 3, 3) / pairs
        away = share - share.mean(axis=1, keepdims=True)
        out[rows] = (away**2).reshape(len(share), 9).sum(axis=1) / 2
    return out


# By our name; the published name is beside it.
CHARACTERISTICS: dict[str, Callable[[Series], Floats]] = {
    "mode5": lambda series: mode(series, 5),  # DN_HistogramMode_5
    "mode10": lambda series: mode(series, 10),  # DN_HistogramMode_10
    "acf_1e": acf_1e,  # CO_f1ecac
    "acf_minimum": acf_minimum,  # CO_FirstMin_ac
    "low_power": low_power,  # SP_Summaries_welch_rect_area_5_1
    "centroid": centroid,  # SP_Summaries_welch_rect_centroid
    "error3": error3,  # FC_LocalSimple_mean3_stderr
    "residual_ratio": residual_ratio,  # FC_LocalSimple_mean1_tauresrat
    "pnn40": pnn40,  # MD_hrv_classic_pnn40
    "above_run": above_run,  # SB_BinaryStats_mean_longstretch1
    "falling_run": falling_run,  # SB_BinaryStats_diff_longstretch0
    "motif_entropy": motif_entropy,  # SB_MotifThree_quantile_hh
    "mutual_information": mutual_information,  # CO_HistogramAMI_even_2_5
    "asymmetry": asymmetry,  # CO_trev_1_num
    "mutual_minimum": mutual_minimum,  # IN_AutoMutualInfoStats_40_gaussian_fmmi
    "transitions": transitions,  # SB_TransitionMatrix_3ac_sumdiagcov
}
