from __future__ import annotations

import json
from importlib.metadata import EntryPoint

import pytest

from pipeline.errors import SettingsError
from pipeline.notify import CallbackChannel, Defaults, GroupBy, PeopleChannel, Policy, WebhookChannel, configured_channels

FILE = """
[channel.ops]
url = "json://user:s3cret@127.0.0.1/x"
group_s = 10
title = "$severity: $series"
[channel.desk]
url = "https://desk.example.com/s3cret"
secret = "s3cret-key"
rate_per_minute = 120
[channel.bot]
callback = "json:dumps"
repeat_s = 0
[default]
attempts = 7
"""


@pytest.fixture
def written(tmp_path):
    def write(text, mode=0o600):
        path = tmp_path / "channels.toml"
        path.write_text(text)
        path.chmod(mode)
        return path

    return write


def test_channels_of_a_file(written):
    found = configured_channels(channels_file=written(FILE), defaults=Defaults(repeat_s=60, rate_per_minute=9))
    assert {name: type(channel) for name, channel in found.items()} == {
        "ops": PeopleChannel,
        "desk": WebhookChannel,
        "bot": CallbackChannel,
    }
    assert found["ops"].policy == Policy(group_by=GroupBy.RULE, group_s=10, rate_per_minute=9, repeat_s=60, attempts=7)
    assert found["desk"].policy == Policy(rate_per_minute=120, repeat_s=60, attempts=7)
    assert found["bot"].policy == Policy(repeat_s=0, attempts=7)
    assert "s3cret" not in repr(found)


def test_channels_of_the_environment_and_of_packages():
    text = json.dumps({"ops": "json://h/x", "desk": {"url": "http://127.0.0.1/x", "group_by": "severity"}})
    plugin = EntryPoint("mine", "json:dumps", "spreadwatch.alerts")
    found = configured_channels(channels=text, plugins=[plugin], webhook_url="http://127.0.0.1/y")
    assert list(found) == ["webhook", "ops", "desk", "mine"]
    assert found["desk"].policy.group_by is GroupBy.SEVERITY
    with pytest.raises(SettingsError, match="'ops' is configured twice"):
        configured_channels(channels=text, plugins=[EntryPoint("ops", "json:dumps", "spreadwatch.alerts")])


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_a_file_that_others_can_reach_is_refused(written, mode):
    with pytest.raises(SettingsError, match="chmod 600"):
        configured_channels(channels_file=written(FILE, mode))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('[channel.a]\nurl = "s3cret\n', "is not TOML (at line 2, column 14)"),
        ('[channel.a]\nurl = "s3cret://h"', "no service takes"),
        ('[channel.a]\nurl = "slack://s3cret"', "no service takes"),
        ('[channel.a]\nurl = "https://"\nsecret = "s3cret"', "is not an address"),
        ('[channel.a]\nurl = "s3cret"\nuri = "x"', "did you mean url?"),
        ('[channel.a]\nsecret = "s3cret"', "needs either url or callback"),
        ('[channel.a]\nurl = "json://h"\nsecret = "s3cret"', "which is for webhooks"),
        ('[channel.A]\nurl = "json://s3cret"', "'A'"),
        ('[channel.a]\nurl = "json://s3cret"\ngroup_s = "s3cret"', "group_s of channel a"),
        ('[channel.a]\nurl = "json://s3cret"\ngroup_by = "s3cret"', "one of none, rule, severity"),
        ('[channel.a]\nurl = "http://h/s3cret"\ntimeout_s = 30', "a number from 0.1 to 3"),
        ('[channel.a]\nurl = "json://s3cret"\ntitle = "$nothing"', "$nothing that does not exist"),
        ('[channel.a]\nurl = "json://s3cret"\nbody = "100 $"', "write $$"),
        ('[channel.a]\nurl = "http://h/s3cret"\nbody = "x"', "for channels that people read"),
        ('[channels.a]\nurl = "json://s3cret"', "did you mean channel?"),
        ('channel = "s3cret"', "is no table"),
    ],
)
def test_what_cannot_be_used_is_said_without_its_secret(written, caplog, text, part):
    caplog.set_level("DEBUG")
    with pytest.raises(SettingsError) as caught:
        configured_channels(channels_file=written(text))
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "s3cret" not in str(caught.value).replace("'s3cret'", "") + caplog.text


def test_no_file(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        configured_channels(channels_file=tmp_path / "none.toml")
    with pytest.raises(SettingsError, match=r"no regular file|Is a directory"):
        configured_channels(channels_file=tmp_path)


@pytest.mark.parametrize("text", ["s3cret", "[]", '{"a": ["s3cret"]}', '{"a": {"url": 7}}'])
def test_a_setting_that_is_none(text):
    with pytest.raises(SettingsError) as caught:
        configured_channels(channels=text)
    assert "s3cret" not in str(caught.value)
