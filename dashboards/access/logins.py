"""Logins: signed cookies that carry the user's stamp, what ends them, and what a user may do at this moment."""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tornado.httputil import HTTPServerRequest
from tornado.web import create_signed_value, decode_signed_value

from dashboards.access.account import LOCAL, Account
from dashboards.access.origins import Origins, own_origins
from pipeline.errors import NotAllowed, UsersError
from pipeline.profile import write_atomically
from pipeline.settings import Settings
from pipeline.users import User, UserFile, UserRole, cookie_secret, login_required

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Open:
    """A page that is open."""

    account: Account
    leave: Callable[[], None]


class Access:
    """Who is who, for one process; safe from any thread."""

    def __init__(self, settings: Settings) -> None:
        self.required = login_required(settings)
        self.origins: Origins = own_origins(settings)
        self.lifetime_s = settings.login_hours * 3_600
        self.secret = cookie_secret(settings.data_dir)
        self.cookie = f"spreadwatch_{settings.dashboard_port}"
        self._file = UserFile(settings.data_dir)
        self._said = ""
        self._lock = threading.Lock()
        self._ended_file = settings.data_dir / "access" / "ended.json"
        self._ended = _read_ended(self._ended_file)
        self._pages: dict[str, _Open] = {}

    # ------------------------------------------------------------------------------------------------ who

    def users(self) -> Mapping[str, User]:
        """Everybody; nobody while the file of users cannot be used, which is logged once."""
        try:
            found = self._file.users()
        except UsersError as error:
            if self._said != str(error):
                self._said = str(error)
                _log.error("nobody can log in", extra={"error": self._said})
            return {}
        self._said = ""
        return found

    def account(self, request: HTTPServerRequest) -> Account | None:
        """Whose request it is; None when one has to log in first."""
        morsel = request.cookies.get(self.cookie)
        if morsel is not None:
            account = self._read(morsel.value)
            if account is not None and self.valid(account):
                return account
        return None if self.required else LOCAL

    def valid(self, account: Account) -> bool:
        """Whether the login still holds: nobody has logged out, and the user is there with the same role and password."""
        if account is LOCAL:
            return not self.required
        user = self.users().get(account.name)
        return (
            user is not None
            and secrets.compare_digest(user.stamp, account.stamp)
            and user.role is account.role
            and account.login not in self._ended
            and time.time() < account.until
        )

    def permit(self, account: Account, what: str) -> None:
        """The one gate of everything that changes something; asked at the moment of the change.

        Raises:
            NotAllowed: when the login is over, or its role only looks.
        """
        if not self.valid(account):
            msg = f"you are no longer logged in as {account.name}; log in again to {what}"
            raise NotAllowed(msg)
        if not account.operator:
            msg = f"{account.name} is a viewer; only an operator may {what}. `spreadwatch user role {account.name} operator` makes one"
            raise NotAllowed(msg)

    # ------------------------------------------------------------------------------------------------ logins

    def begin(self, user: User) -> str:
        """The value of the cookie of a new login."""
        login = {"name": user.name, "role": user.role, "login": secrets.token_urlsafe(12), "stamp": user.stamp}
        text = json.dumps({**login, "until": time.time() + self.lifetime_s})
        return create_signed_value(self.secret, self.cookie, text).decode()

    def end(self, account: Account) -> None:
        """Log out: the cookie is worth nothing from now on, after a restart neither."""
        if account is LOCAL:
            return
        now = time.time()
        with self._lock:
            self._ended = {login: until for login, until in self._ended.items() if until > now} | {account.login: account.until}
            write_atomically(self._ended_file, json.dumps(self._ended) + "\n", mode=0o600)

    def _read(self, value: str) -> Account | None:
        text = decode_signed_value(self.secret, self.cookie, value, max_age_days=self.lifetime_s / 86_400)
        if text is None:
            return None
        fields = json.loads(text)
        return Account(fields["name"], UserRole(fields["role"]), fields["login"], fields["stamp"], fields["until"])

    # ------------------------------------------------------------------------------------------------ open pages

    def opened(self, page: str, account: Account, leave: Callable[[], None]) -> None:
        """A page was opened under an account; ``leave`` is called, in the event loop, when the login has ended."""
        self._pages[page] = _Open(account, leave)

    def closed(self, page: str) -> None:
        """The page has gone."""
        self._pages.pop(page, None)

    def owns(self, account: Account, page: str) -> bool:
        """Whether a page is nobody else's: its socket may be opened by who opened it only."""
        there = self._pages.get(page)
        return there is None or (there.account.name, there.account.login) == (account.name, account.login)

    def close_ended(self) -> list[str]:
        """Make the pages whose login has ended leave, and tell which those are; called every second, in the event loop."""
        ended = [(page, there) for page, there in self._pages.items() if not self.valid(there.account)]
        for page, there in ended:
            self.closed(page)
            there.leave()
        return [page for page, _ in ended]


def _read_ended(path: Path) -> dict[str, float]:
    try:
        return {str(login): float(until) for login, until in json.loads(path.read_text()).items()}
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError, TypeError):
        _log.warning("logins that were ended cannot be read", extra={"path": str(path)})
        return {}
