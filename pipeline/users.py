"""Who may use the dashboard: names, roles and hashed passwords in one file of the data directory, which only its owner may read.

    <data_dir>/access/
        users.json        a name, role, argon2id hash and stamp each; mode 0600
        cookie_secret     the key that signs logins; mode 0600
        lock              held while users.json is changed

The stamp of a user is drawn anew with every change of password or role. A login carries the stamp of its moment, so that one change
ends every login of that user. A password is stored only as its hash (argon2id with the parameters of RFC 9106 for little memory, which
are the library's own defaults).
"""

from __future__ import annotations

import fcntl
import ipaddress
import json
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from pipeline.errors import UsersError
from pipeline.profile import write_atomically
from pipeline.settings import Settings

_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_SHORTEST, _LONGEST = 10, 1_024


class UserRole(StrEnum):
    """What a user may do."""

    VIEWER = "viewer"
    """Look at everything, export."""
    OPERATOR = "operator"
    """A viewer who may also change rules and universe, run flows and upload."""


@dataclass(frozen=True, slots=True)
class User:
    """One user.

    Attributes:
        name: in small letters.
        role: what the user may do.
        password_hash: argon2id, in the usual ``$argon2id$v=19$...`` form.
        stamp: drawn anew with every change; a login with another one is over.
    """

    name: str
    role: UserRole
    password_hash: str = field(repr=False)
    stamp: str = field(repr=False)


class UserFile:
    """The users of a data directory. Every call sees what other processes have written; changes are atomic and one after the other."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "access" / "users.json"
        self._seen: tuple[int, int, int] | None = None
        self._users: Mapping[str, User] = {}

    def users(self) -> Mapping[str, User]:
        """Everybody by name; read again only when the file has changed. Empty when there is no file.

        Raises:
            UsersError: when the file is damaged, or can be read by others.
        """
        try:
            facts = self.path.stat()
        except FileNotFoundError:
            return {}
        seen = (facts.st_mtime_ns, facts.st_ino, facts.st_size)
        if stat.S_IMODE(facts.st_mode) & 0o077:
            msg = f"{self.path} can be read or written by others (mode {stat.S_IMODE(facts.st_mode):o}); run `chmod 600 {self.path}`"
            raise UsersError(msg)
        if seen != self._seen:
            self._users, self._seen = _parsed(self.path), seen
        return self._users

    def add(self, name: str, role: UserRole, password: str) -> User:
        """A new user.

        Raises:
            UsersError: when the name cannot be used or is taken, or the password is too short.
        """
        name = _checked_name(name)
        user = User(name, role, hash_password(password), _new_stamp())
        with self._changing() as users:
            if name in users:
                msg = f"user {name} exists already; `spreadwatch user password {name}` or `spreadwatch user role {name} ROLE` changes it"
                raise UsersError(msg)
            users[name] = user
        return user

    def remove(self, name: str) -> None:
        """The user is gone, with every login.

        Raises:
            UsersError: when there is none of that name.
        """
        with self._changing() as users:
            del users[_known(name, users)]

    def set_password(self, name: str, password: str) -> None:
        """Another password; every login of the user is over.

        Raises:
            UsersError: when there is none of that name, or the password is too short.
        """
        hashed = hash_password(password)
        with self._changing() as users:
            known = _known(name, users)
            users[known] = replace(users[known], password_hash=hashed, stamp=_new_stamp())

    def set_role(self, name: str, role: UserRole) -> None:
        """Another role; every login of the user is over.

        Raises:
            UsersError: when there is none of that name.
        """
        with self._changing() as users:
            known = _known(name, users)
            users[known] = replace(users[known], role=role, stamp=_new_stamp())

    @contextmanager
    def _changing(self) -> Iterator[dict[str, User]]:
        make_private(self.path.parent)
        with (self.path.parent / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            users = dict(self.users())
            yield users
            content = [
                {"name": user.name, "role": user.role.value, "password_hash": user.password_hash, "stamp": user.stamp}
                for user in sorted(users.values(), key=lambda user: user.name)
            ]
            write_atomically(self.path, json.dumps({"users": content}, indent=2) + "\n", mode=0o600)


def make_private(directory: Path) -> None:
    """Make a directory that only its owner can enter."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)


def hash_password(password: str) -> str:
    """The argon2id hash of a password that is long enough.

    Raises:
        UsersError: when it has fewer than 10 characters, or more than 1,024 bytes.
    """
    if len(password) < _SHORTEST or len(password.encode()) > _LONGEST:
        msg = f"a password has {_SHORTEST} characters or more, and at most {_LONGEST} bytes; choose another"
        raise UsersError(msg)
    return _hasher().hash(password)


def verify_password(user: User | None, password: str) -> bool:
    """Whether it is the user's password; an unknown user takes as long and is refused."""
    try:
        _hasher().verify(user.password_hash if user else _nobodys_hash(), password[:_LONGEST])
    except (VerificationError, InvalidHashError):
        return False
    return user is not None


def login_required(settings: Settings) -> bool:
    """Whether the dashboard can be reached from other machines, directly or through a proxy, or shall ask for a login all the same."""
    return settings.login == "always" or bool(settings.dashboard_origins) or not is_loopback(settings.host)


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine only; a name other than ``localhost`` counts as reachable."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def require_users(settings: Settings) -> None:
    """Refuse to open the dashboard where a login is required and nobody could log in.

    Raises:
        UsersError: then, and when the file of users cannot be used.
    """
    if login_required(settings) and not UserFile(settings.data_dir).users():
        because = (
            'login is "always"'
            if settings.login == "always"
            else "dashboard_origins is set"
            if settings.dashboard_origins
            else f"host is {settings.host}, which other machines can reach"
        )
        msg = f"the dashboard requires a login ({because}) and there is no user; make one: `spreadwatch user add NAME --role operator`"
        raise UsersError(msg)


def cookie_secret(data_dir: Path) -> str:
    """The key that signs logins, made at the first call; it outlives restarts, and so do logins."""
    path = data_dir / "access" / "cookie_secret"
    make_private(path.parent)
    with (path.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            write_atomically(path, secrets.token_urlsafe(48) + "\n", mode=0o600)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        msg = f"{path} can be read by others; remove it, and everybody logs in again"
        raise UsersError(msg)
    return path.read_text().strip()


def _parsed(path: Path) -> dict[str, User]:
    try:
        rows = json.loads(path.read_text())["users"]
        found = [User(row["name"], UserRole(row["role"]), str(row["password_hash"]), str(row["stamp"])) for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{path} is damaged ({type(error).__name__}: {error}); restore it, or remove it and add the users again"
        raise UsersError(msg) from error
    return {user.name: user for user in found}


def _checked_name(name: str) -> str:
    name = name.strip().lower()
    if _NAME.fullmatch(name) is None:
        msg = f"user name {name!r} cannot be used; expected up to 64 letters, digits, and . _ @ -"
        raise UsersError(msg)
    return name


def _known(name: str, users: Mapping[str, User]) -> str:
    name = name.strip().lower()
    if name not in users:
        msg = f"there is no user {name}; there: {', '.join(sorted(users)) or 'nobody yet'}"
        raise UsersError(msg)
    return name


def _new_stamp() -> str:
    return secrets.token_urlsafe(12)


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@cache
def _nobodys_hash() -> str:
    return _hasher().hash(secrets.token_urlsafe(16))
