"""Alert events handed to a Python function of the user's."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from pipeline.errors import NotifyError, SettingsError
from pipeline.notify.channel import Policy
from pipeline.notify.thread import OneThread, StillBusy

_ADDRESS = re.compile(r"\b([a-zA-Z][a-zA-Z0-9+.-]*://)[^\s'\"]*")


class CallbackChannel:
    """Calls ``package.module:function`` with each event, a read-only mapping with the fields of `AlertEvent`.

    A coroutine function is awaited; any other runs in a thread of its own, one call at a time. A call that takes
    too long counts as not delivered, although it goes on: the function may then see the event a second time, with the
    same ``event_id``.

    Args:
        target: where the function is; imported here.
        timeout_s: seconds that one call may take.
        name: name in the outbox.
        policy: how the channel wants to be used. Events that are grouped come as one mapping with ``kind`` "group" and ``events``.

    Raises:
        SettingsError: when there is no such function.
    """

    at_once = 1

    def __init__(self, target: str, *, timeout_s: float = 10.0, name: str = "callback", policy: Policy | None = None) -> None:
        self._target = target
        self._function = _load(target)
        self._timeout_s = timeout_s
        self._name = name
        self._policy = policy or Policy()
        self._thread = OneThread(f"alert-{name}")

    def __repr__(self) -> str:
        return f"CallbackChannel({self._target!r})"

    @property
    def name(self) -> str:
        """Name in the outbox."""
        return self._name

    @property
    def policy(self) -> Policy:
        """How the channel wants to be used."""
        return self._policy

    async def send(self, event_id: str, payload: str) -> None:
        """Call the function with one event.

        Args:
            event_id: the event's id, which the mapping holds too.
            payload: the event as JSON.

        Raises:
            NotifyError: as the function raised it; retryable when it raised anything else, or took too long.
        """
        del event_id
        event: Mapping[str, object] = MappingProxyType(json.loads(payload))
        limit = asyncio.timeout(self._timeout_s)
        try:
            async with limit:
                if inspect.iscoroutinefunction(self._function):
                    await self._function(event)
                else:
                    await self._thread.call(lambda: self._function(event))
        except NotifyError:
            raise
        except StillBusy:
            msg = f"alert callback {self._target} is still busy with an earlier event; make it faster, it will be tried again"
            raise NotifyError(msg, retryable=True) from None
        except (Exception, SystemExit) as error:  # the boundary to the user's code, which may raise anything
            if limit.expired():
                msg = f"alert callback {self._target} took longer than {self._timeout_s:g} s; make it faster, it will be tried again"
                raise NotifyError(msg, retryable=True) from None
            msg = f"alert callback {self._target} raised {type(error).__name__}: {_one_line(error)}; it will be tried again"
            raise NotifyError(msg, retryable=True) from error


def _load(target: str) -> Callable[[Mapping[str, object]], object]:
    module_name, colon, function_name = target.partition(":")
    if not colon or not all(part.isidentifier() for part in [*module_name.split("."), *function_name.split(".")]):
        msg = f"alert_callback {target!r} is not understood; expected package.module:function"
        raise SettingsError(msg)
    try:
        found: object = importlib.import_module(module_name)
    except Exception as error:  # importing runs the user's code, which may raise anything
        msg = f"alert_callback {target!r} cannot be imported: {_one_line(error)}; check its name, and put its directory on PYTHONPATH"
        raise SettingsError(msg) from error
    for part in function_name.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        msg = f"alert_callback {target!r} names no function; expected package.module:function"
        raise SettingsError(msg)
    return found


def _one_line(error: BaseException) -> str:
    """What an error says; addresses, which often are secrets, shortened to their scheme."""
    return _ADDRESS.sub(r"\1...", " ".join(str(error).split()))[:200]
