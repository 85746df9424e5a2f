"""The command line, ``spreadwatch ...``: a group whose commands are imported when they are called.

Exit codes: 0 done, 1 failed, 2 bad usage. An error is one line on standard error; ``--debug`` anywhere adds the traceback.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence

import click

from pipeline import __version__
from pipeline.errors import SpreadwatchError

_COMMANDS = {
    "up": "run",
    "capture": "run",
    "warehouse": "run",
    "simulate": "run",
    "flows": "run",
    "dashboard": "run",
    "prefect": "run",
    "record": "record",
    "ingest": "data",
    "backfill": "data",
    "repair": "quality",
    "quality": "quality",
    "partitions": "partitions",
    "archive": "retention",
    "export": "data",
    "sql": "data",
    "fit": "models",
    "screen": "models",
    "report": "report",
    "universe": "watch",
    "alert": "alert",
    "profile": "manage",
    "user": "user",
    "maintain": "maintain",
    "status": "status",
    "doctor": "doctor",
}
"""Command -> module of this package that has it, under the same name."""

_INTERRUPTED = 130


class LazyGroup(click.Group):
    """Imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the order of the table: first what one needs first."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, None when there is none."""
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"pipeline.cli.{_COMMANDS[cmd_name]}")
        command = getattr(module, cmd_name)
        return command if isinstance(command, click.Command) else None


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="spreadwatch")
@click.option("--debug", is_flag=True, help="Show the traceback of an error (may stand anywhere).")
def group(*, debug: bool) -> None:
    """Real-time pair-trading analytics: from a trade on the wire to a chart in the browser."""
    del debug  # main() has taken it out already; it is declared for --help


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    code = _run([argument for argument in given if argument != "--debug"], debug=debug)
    sys.exit(code)


def _run(arguments: list[str], *, debug: bool) -> int:  # noqa: PLR0911 -- one for each way to end
    """The error boundary of every command."""
    try:
        # Not group.main(): it answers a closed pipe with exit code 1 before we see it.
        with group.make_context("spreadwatch", arguments) as context:
            group.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.UsageError as error:
        asked = error.ctx.command_path if error.ctx else "spreadwatch"
        return _failed(f"{_one_line(error.format_message())} See `{asked} --help`.", 2, debug=debug)
    except click.ClickException as error:
        return _failed(_one_line(error.format_message()), error.exit_code, debug=debug)
    except SpreadwatchError as error:
        return _failed(_one_line(str(error)), error.exit_code, debug=debug)
    except (click.Abort, KeyboardInterrupt, EOFError):
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): not an error, and nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 -- the boundary: whatever it is, the user gets one line
        return _failed(f"unexpected {type(error).__name__}: {_one_line(str(error))}; --debug shows where", 1, debug=debug)
    return 0


def _failed(message: str, code: int, *, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    click.echo(f"spreadwatch: {message}", err=True)
    return code


def _one_line(text: str) -> str:
    return " ".join(text.split())
