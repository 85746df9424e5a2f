"""The file of users: who is in it, who may read it, and what happens when several change it at once or somebody damages it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import UsersError
from pipeline.settings import Settings
from pipeline.users import (
    UserFile,
    UserRole,
    cookie_secret,
    hash_password,
    is_loopback,
    login_required,
    require_users,
    verify_password,
)

_PASSWORD = "correct horse battery"


def test_a_user_is_added_changed_and_removed_and_each_change_draws_a_new_stamp(tmp_path: Path) -> None:
    file = UserFile(tmp_path)
    assert dict(file.users()) == {}
    made = file.add(" Alice ", UserRole.VIEWER, _PASSWORD)
    assert made.name == "alice"
    other = UserFile(tmp_path)  # as another process sees it
    assert other.users()["alice"] == made
    file.set_role("alice", UserRole.OPERATOR)
    promoted = other.users()["alice"]
    assert promoted.role is UserRole.OPERATOR
    assert promoted.stamp != made.stamp
    file.set_password("ALICE", "another password")
    changed = other.users()["alice"]
    assert changed.stamp not in {made.stamp, promoted.stamp}
    assert verify_password(changed, "another password")
    assert not verify_password(changed, _PASSWORD)
    file.remove("alice")
    assert dict(other.users()) == {}


def test_only_the_owner_may_read_it_and_it_holds_no_password(tmp_path: Path) -> None:
    file = UserFile(tmp_path)
    file.add("alice", UserRole.VIEWER, _PASSWORD)
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert file.path.parent.stat().st_mode & 0o777 == 0o700
    text = file.path.read_text()
    assert "$argon2id$v=19$m=65536,t=3,p=4$" in text
    assert _PASSWORD not in text
    assert _PASSWORD not in repr(file.users()["alice"])
    assert "argon2" not in repr(file.users()["alice"])
    file.path.chmod(0o640)
    with pytest.raises(UsersError, match="can be read or written by others"):
        UserFile(tmp_path).users()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is damaged"),
        ('{"users": [{"name": "a"}]}', "is damaged"),
        ('{"users": [{"name": "a", "role": "king", "password_hash": "x", "stamp": "y"}]}', "is damaged"),
        ("[]", "is damaged"),
    ],
)
def test_a_damaged_file_says_so_and_lets_nobody_in(tmp_path: Path, text: str, said: str) -> None:
    file = UserFile(tmp_path)
    file.add("alice", UserRole.VIEWER, _PASSWORD)
    file.path.write_text(text)
    with pytest.raises(UsersError, match=said):
        file.users()
    with pytest.raises(UsersError, match=said):
        file.add("bob", UserRole.VIEWER, _PASSWORD)
    assert file.path.read_text() == text


def test_a_hash_that_is_none_fits_no_password(tmp_path: Path) -> None:
    file = UserFile(tmp_path)
    file.add("alice", UserRole.VIEWER, _PASSWORD)
    file.path.write_text(file.path.read_text().replace("$argon2id$", "$nonsense$"))
    assert not verify_password(file.users()["alice"], _PASSWORD)


def test_names_and_passwords_that_cannot_be_used(tmp_path: Path) -> None:
    file = UserFile(tmp_path)
    for name in ("", "a b", "../x", "ä", "-x", "x" * 65):
        with pytest.raises(UsersError, match="cannot be used"):
            file.add(name, UserRole.VIEWER, _PASSWORD)
    with pytest.raises(UsersError, match="10 characters"):
        file.add("alice", UserRole.VIEWER, "too short")
    with pytest.raises(UsersError, match="10 characters"):
        hash_password("x" * 1_025)
    file.add("alice", UserRole.VIEWER, _PASSWORD)
    with pytest.raises(UsersError, match="exists already"):
        file.add("Alice", UserRole.OPERATOR, _PASSWORD)
    for change in (lambda: file.remove("bob"), lambda: file.set_role("bob", UserRole.VIEWER), lambda: file.set_password("bob", _PASSWORD)):
        with pytest.raises(UsersError, match="there is no user bob; there: alice"):
            change()


def test_one_password_has_many_hashes_and_nobody_has_none() -> None:
    first, second = hash_password(_PASSWORD), hash_password(_PASSWORD)
    assert first != second
    assert not verify_password(None, _PASSWORD)


def test_users_added_by_several_processes_at_once_are_all_there(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from pipeline.users import UserFile, UserRole\n"
        "for n in range(3): UserFile(Path(sys.argv[1])).add(f'{sys.argv[2]}{n}', UserRole.VIEWER, 'correct horse battery')"
    )
    root = Path(__file__).parents[1]
    running = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path), name], cwd=root) for name in ("a", "b", "c")]
    assert [process.wait(timeout=100) for process in running] == [0, 0, 0]
    assert sorted(UserFile(tmp_path).users()) == [f"{name}{n}" for name in ("a", "b", "c") for n in range(3)]


def test_the_secret_is_drawn_once_and_is_its_owners(tmp_path: Path) -> None:
    secret = cookie_secret(tmp_path)
    assert len(secret) >= 48
    assert cookie_secret(tmp_path) == secret
    path = tmp_path / "access" / "cookie_secret"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(UsersError, match="can be read by others"):
        cookie_secret(tmp_path)


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("192.168.1.7", False), ("desk.example.com", False)],
)  # fmt: skip
def test_what_counts_as_this_machine(host: str, local: bool) -> None:  # noqa: FBT001
    assert is_loopback(host) is local
    assert login_required(Settings(host=host)) is not local


def test_without_users_nothing_is_opened_to_others(tmp_path: Path) -> None:
    require_users(Settings(data_dir=tmp_path))
    for given, because in (
        ({"host": "0.0.0.0"}, "host is 0.0.0.0"),
        ({"dashboard_origins": ("https://desk.example.com",)}, "dashboard_origins is set"),
        ({"login": "always"}, 'login is "always"'),
    ):
        chosen = Settings(data_dir=tmp_path, **given)
        with pytest.raises(UsersError, match=f"requires a login .{because}.*spreadwatch user add NAME --role operator"):
            require_users(chosen)
        UserFile(tmp_path).add("alice", UserRole.OPERATOR, _PASSWORD)
        require_users(chosen)
        UserFile(tmp_path).remove("alice")
