"""Users by command: the password comes from standard input, and no word of it is told."""

from __future__ import annotations

import io
import sys

import pytest

from pipeline.cli import main
from pipeline.settings import settings
from pipeline.users import UserFile, UserRole, verify_password


@pytest.fixture
def spreadwatch(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("SPREADWATCH_DATA_DIR", str(tmp_path))
    settings.cache_clear()

    def run(*words, stdin=""):
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as exit_:
            main(("user", *words))
        said = capsys.readouterr()
        return exit_.value.code, said.out, said.err

    yield run
    settings.cache_clear()


def test_users_are_made_listed_changed_and_removed(spreadwatch, tmp_path):
    file = UserFile(tmp_path)
    assert spreadwatch("list") == (0, "No users yet; `spreadwatch user add NAME --role operator` makes one.\n", "")
    assert spreadwatch("add", "Ann", "--role", "operator", stdin="correct horse battery\n") == (0, "User ann (operator) can log in.\n", "")
    assert spreadwatch("add", "vic", "--role", "viewer", stdin="correct horse battery")[0] == 0
    assert spreadwatch("list")[1].split() == ["ann", "operator", "vic", "viewer"]
    assert spreadwatch("password", "ann", stdin="another password\n") == (0, "User ann has another password.\n", "")
    assert verify_password(file.users()["ann"], "another password")
    assert spreadwatch("role", "vic", "operator") == (0, "User vic is now operator.\n", "")
    assert file.users()["vic"].role is UserRole.OPERATOR
    assert spreadwatch("remove", "vic") == (0, "User vic is removed.\n", "")
    assert list(file.users()) == ["ann"]


def test_what_cannot_be_is_one_line(spreadwatch):
    for words, stdin, said in (
        (("add", "ann", "--role", "operator"), "short\n", "10 characters or more"),
        (("add", "ann", "--role", "king"), "", "'king' is not one of"),
        (("add", "a b", "--role", "viewer"), "correct horse battery\n", "cannot be used"),
        (("remove", "ann"), "", "there is no user ann; there: nobody yet"),
        (("password", "ann"), "correct horse battery\n", "there is no user ann"),
    ):
        code, out, err = spreadwatch(*words, stdin=stdin)
        assert (code, out) == (2, ""), words
        assert said in err
        assert err.count("\n") == 1
