"""The whole error tree.

    SpreadwatchError
    ├── UsageError                 bad arguments or settings: exit code 2
    │   ├── SettingsError          a setting is unknown or has a value that cannot be used
    │   ├── ProfileError           a profile is unknown, exists already, or is of another kind
    │   ├── RuleError              an alert rule that is malformed or can never fire
    │   └── UsersError             a user is unknown or exists already, or the file of users cannot be used
    ├── DataError                  data that cannot be used as it is
    │   ├── MalformedMessage       one venue message that does not decode
    │   ├── RecordingError         a recording that cannot be read
    │   ├── UploadError            a user's own file that cannot be used as a symbol
    │   ├── ProvenanceError        data of one kind offered to a profile of another
    │   └── QualityError           data that fails a check of severity error
    ├── AnalyticsError             a statistic is not defined for this input
    │   ├── TooShort               fewer observations than the statistic needs
    │   ├── NotFinite              NaN or infinity where every value must be finite
    │   ├── Constant               a series without variation
    │   └── Collinear              two legs that are a linear function of each other
    ├── VenueError                 the exchange did not answer as needed
    │   ├── VenueUnavailable       not reachable, or answering 5xx: worth trying again
    │   ├── RateLimited            429 or 418; carries `retry_after_s`
    │   ├── RegionBlocked          403 or 451: trying again does not help
    │   └── BadRequest             the venue refused the request itself: trying again does not help
    ├── StoreError                 the warehouse could not do it
    │   ├── WarehouseUnavailable   nobody serves it, or the server went away: worth trying again
    │   ├── WarehouseBusy          another process holds the database file
    │   └── StatementRefused       SQL that this role may not run
    ├── JournalError               the journal cannot be written or read
    │   ├── DiskFull               no room for the journal
    │   ├── JournalUnavailable     the server that keeps it does not answer: worth trying again
    │   └── WriterFenced           another process has become the writer: this one has to stop
    ├── NotAllowed                 the user may look, but not change things
    ├── NotifyError                an alert event was not delivered; carries `retryable` and `retry_after_s`
    ├── PrefectError               Prefect could not do what was asked
    │   └── PrefectUnavailable     it does not answer: worth trying again
    └── RunError                   a process of the platform could not be started or supervised
        ├── PortInUse              a port that the platform needs is taken
        └── AlreadyRunning         the profile is being run by another process

Every message is one line: what was wrong, what was expected, what to do.
"""

from __future__ import annotations

from pathlib import Path


class SpreadwatchError(Exception):
    """Base of every error that Spreadwatch raises on purpose."""

    exit_code = 1


class UsageError(SpreadwatchError):
    """Arguments or settings that cannot be used."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting is unknown or has a value that cannot be used."""


class ProfileError(UsageError):
    """A profile is unknown, exists already, or is of another kind."""


class RuleError(UsageError):
    """An alert rule that is malformed or can never fire."""


class UsersError(UsageError):
    """A user is unknown or exists already, or the file of users cannot be used."""


class DataError(SpreadwatchError):
    """Data that cannot be used as it is."""


class MalformedMessage(DataError):
    """One venue message that does not decode."""


class RecordingError(DataError):
    """A recording that cannot be read: which file, and which line, where it is the fault of one."""

    def __init__(self, message: str, path: Path | None = None, line: int | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.line = line


class UploadError(DataError):
    """A user's own file that cannot be used as a symbol."""


class ProvenanceError(DataError):
    """Data of one kind offered to a profile of another kind."""


class QualityError(DataError):
    """Data that fails a check of severity error; what was found has been saved."""


class AnalyticsError(SpreadwatchError):
    """A statistic is not defined for this input."""


class TooShort(AnalyticsError):
    """Fewer observations than the statistic needs."""


class NotFinite(AnalyticsError):
    """NaN or infinity where every value must be finite."""


class Constant(AnalyticsError):
    """A series without variation."""


class Collinear(AnalyticsError):
    """Two legs that are a linear function of each other."""


class VenueError(SpreadwatchError):
    """The exchange did not answer as needed."""


class VenueUnavailable(VenueError):
    """Not reachable, or answering 5xx: worth trying again."""


class RateLimited(VenueError):
    """The venue asked us to slow down (HTTP 429 or 418)."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RegionBlocked(VenueError):
    """The venue refuses this address (HTTP 403 or 451); trying again does not help."""


class BadRequest(VenueError):
    """The venue refused the request itself; trying again does not help."""


class StoreError(SpreadwatchError):
    """The warehouse could not do what was asked."""


class WarehouseUnavailable(StoreError):
    """Nobody serves the warehouse, or the server went away; worth trying again."""


class WarehouseBusy(StoreError):
    """Another process holds the database file."""


class StatementRefused(StoreError):
    """SQL that this role may not run."""


class JournalError(SpreadwatchError):
    """The journal cannot be written or read."""


class DiskFull(JournalError):
    """There is no room for the journal."""


class JournalUnavailable(JournalError):
    """The server that keeps the journal does not answer; worth trying again."""


class WriterFenced(JournalError):
    """Another process has become the writer of this source; trying again does not help."""


class NotAllowed(SpreadwatchError):
    """The user's role does not allow it, or the user may not be here any more."""


class NotifyError(SpreadwatchError):
    """An alert event was not delivered; ``retryable``: trying again can help, ``retry_after_s``: the wait that the receiver asked for."""

    def __init__(self, message: str, *, retryable: bool, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after_s = retry_after_s


class PrefectError(SpreadwatchError):
    """Prefect could not do what was asked."""


class PrefectUnavailable(PrefectError):
    """Prefect does not answer; worth trying again."""


class RunError(SpreadwatchError):
    """A process of the platform could not be started or supervised."""


class PortInUse(RunError):
    """A port that the platform needs is taken."""


class AlreadyRunning(RunError):
    """The profile is being run by another process."""
