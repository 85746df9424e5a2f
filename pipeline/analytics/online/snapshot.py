"""The state of an online statistic, to be kept and taken up again."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

from pipeline.errors import UsageError


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that a twin knows: restored from it, it goes on bit for bit.

    Pickles, compares, and goes through JSON without losing a bit (:meth:`to_json` writes hexadecimal floats).

    Attributes:
        twin: name of the class.
        numbers: its state; what they mean is the class's own business.
    """

    twin: str
    numbers: tuple[float, ...]

    def to_json(self) -> str:
        """One JSON object."""
        return json.dumps({"twin": self.twin, "numbers": [number.hex() for number in self.numbers]})

    @classmethod
    def from_json(cls, text: str) -> Snapshot:
        """The snapshot that :meth:`to_json` wrote.

        Raises:
            UsageError: when the text is something else.
        """
        try:
            content = json.loads(text)
            return cls(str(content["twin"]), tuple(float.fromhex(number) for number in content["numbers"]))
        except (ValueError, KeyError, TypeError) as error:
            msg = "the text is no snapshot of an online statistic; expected what Snapshot.to_json wrote; take a new one"
            raise UsageError(msg) from error


class Restorable(ABC):
    """What every twin shares: ``snapshot`` and ``restore``."""

    __slots__ = ()

    def snapshot(self) -> Snapshot:
        """The state after the last update."""
        return Snapshot(type(self).__name__, tuple(float(number) for number in self._numbers()))

    @classmethod
    def restore(cls, snapshot: Snapshot) -> Self:
        """A twin in the state of the snapshot.

        Raises:
            UsageError: when the snapshot is of another statistic, or damaged.
        """
        if snapshot.twin != cls.__name__:
            msg = f"the snapshot is of {snapshot.twin}; expected one of {cls.__name__}; restore it with its own class"
            raise UsageError(msg)
        try:
            return cls._of(snapshot.numbers)
        except (ValueError, TypeError, IndexError) as error:
            msg = f"the snapshot of {snapshot.twin} holds {len(snapshot.numbers)} numbers that do not fit; take a new one"
            raise UsageError(msg) from error

    @abstractmethod
    def _numbers(self) -> tuple[float, ...]:
        """The state, as numbers."""

    @classmethod
    @abstractmethod
    def _of(cls, numbers: tuple[float, ...]) -> Self:
        """A twin in the state that these numbers tell."""
