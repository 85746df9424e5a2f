"""Whose request or session it is."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.users import UserRole


@dataclass(frozen=True, slots=True)
class Account:
    """A user who is logged in, or whoever sits at this machine where no login is asked for.

    Attributes:
        name: what is written as who did something.
        role: what may be done.
        login: name of the login that began with the password; empty at this machine.
        stamp: the user's stamp at that moment; the login is over when the user has another.
        until: when the login ends, in seconds since 1970.
    """

    name: str
    role: UserRole
    login: str = ""
    stamp: str = field(default="", repr=False)
    until: float = float("inf")

    @property
    def operator(self) -> bool:
        """Whether rules and universe may be changed, flows run and files uploaded."""
        return self.role is UserRole.OPERATOR


LOCAL = Account("dashboard", UserRole.OPERATOR)
"""Whoever reaches a dashboard that only this machine can reach."""
