"""Users of the dashboard: made, listed, changed, removed."""

from __future__ import annotations

import sys

import click

from pipeline.settings import settings
from pipeline.users import UserFile, UserRole

_ROLE = click.Choice([role.value for role in UserRole])


@click.group()
def user() -> None:
    """Who may log in to the dashboard. A running one follows within seconds."""


@user.command("add")
@click.argument("name")
@click.option("--role", type=_ROLE, required=True, help="viewer looks; operator also changes rules and universe, runs flows, uploads.")
def user_add(*, name: str, role: str) -> None:
    """Add a user; the password is asked for, or read from standard input when that is no terminal."""
    made = _file().add(name, UserRole(role), _password())
    click.echo(f"User {made.name} ({made.role}) can log in.")


@user.command("list")
def user_list() -> None:
    """Everybody, with the role."""
    found = _file().users()
    if not found:
        click.echo("No users yet; `spreadwatch user add NAME --role operator` makes one.")
    for one in sorted(found.values(), key=lambda one: one.name):
        click.echo(f"{one.name:<24} {one.role.value}")


@user.command("remove")
@click.argument("name")
def user_remove(*, name: str) -> None:
    """Remove a user; open pages of that user are closed."""
    _file().remove(name)
    click.echo(f"User {name} is removed.")


@user.command("password")
@click.argument("name")
def user_password(*, name: str) -> None:
    """Set another password; whoever is logged in under that name has to log in again."""
    file = _file()
    file.set_password(name, _password())
    click.echo(f"User {name} has another password.")


@user.command("role")
@click.argument("name")
@click.argument("role", type=_ROLE)
def user_role(*, name: str, role: str) -> None:
    """Make a viewer an operator, or an operator a viewer."""
    _file().set_role(name, UserRole(role))
    click.echo(f"User {name} is now {role}.")


def _file() -> UserFile:
    return UserFile(settings().data_dir)


def _password() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")
