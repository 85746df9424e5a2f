"""Random numbers that are a function of a key and an index, with no state and no order of drawing.

A key is made of the seed and of names (``key(7, "walk", "BTCUSDT")``); the number at an index is the
splitmix64 finaliser of ``key + index * golden``. Any number can hence be had at any time, alone or in a
block, in this process or in the next one, and is always the same.

Normals are the sum of four 16-bit uniforms, standardised (Irwin-Hall, n = 4): integer arithmetic only, so
that no mathematics library can make them differ, bounded by 3.46, excess kurtosis -0.3. Fat tails come from
what is built on top (activity, shocks), not from here.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_LOW_16 = np.uint64(0xFFFF)
_SHIFT = {bits: np.uint64(bits) for bits in (11, 16, 27, 30, 31, 32, 48)}
_IRWIN_HALL_MEAN = 2 * 65535.0
_IRWIN_HALL_SD = math.sqrt((65536.0**2 - 1) / 3)


def key(seed: int, *names: str) -> int:
    """A 64-bit key for a seed and a path of names."""
    digest = hashlib.blake2b("/".join((str(seed), *names)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def bits(noise_key: int, index: Ints) -> npt.NDArray[np.uint64]:
    """64 random bits at each index (any integers); same shape as ``index``."""
    mixed: npt.NDArray[np.uint64] = index.astype(np.uint64) * _GOLDEN + np.uint64(noise_key)
    mixed ^= mixed >> _SHIFT[30]
    mixed *= _MIX_1
    mixed ^= mixed >> _SHIFT[27]
    mixed *= _MIX_2
    mixed ^= mixed >> _SHIFT[31]
    return mixed


def uniform(noise_key: int, index: Ints) -> Floats:
    """Uniform in [0, 1) with 53 bits."""
    return (bits(noise_key, index) >> _SHIFT[11]).astype(np.float64) * 2.0**-53


def normal(noise_key: int, index: Ints) -> Floats:
    """Mean 0, variance 1, bounded by 3.46 (see the module)."""
    raw = bits(noise_key, index)
    total = (raw & _LOW_16) + ((raw >> _SHIFT[16]) & _LOW_16) + ((raw >> _SHIFT[32]) & _LOW_16) + (raw >> _SHIFT[48])
    values: Floats = (total.astype(np.float64) - _IRWIN_HALL_MEAN) / _IRWIN_HALL_SD
    return values


def exponential(noise_key: int, index: Ints) -> Floats:
    """Exponential with mean 1."""
    waits: Floats = -np.log1p(-uniform(noise_key, index))
    return waits
