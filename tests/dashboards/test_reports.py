"""Reports over HTTP: the profile's own, and nothing else."""

from __future__ import annotations

import contextlib
import http.client
from urllib.parse import urlsplit

import pytest

from dashboards.reports import read_report

NAME = "report-20260302T1200Z-24h-a1b2c3.html"


def test_only_reports_that_lie_in_the_directory_are_read(tmp_path):
    reports = tmp_path / "reports"
    reports.mkdir()
    (reports / NAME).write_text("the report")
    (tmp_path / "profile.json").write_text("a secret")
    (reports / "report-link.html").symlink_to(tmp_path / "profile.json")
    (reports / "report-directory.html").mkdir()
    (reports / "mine.html").write_text("a user's own")
    assert read_report(reports, NAME) == b"the report"
    for name in (
        "report-20260101T0000Z-1h.html",
        "report-link.html",
        "report-directory.html",
        "mine.html",
        "../profile.json",
        "",
        ".",
        NAME + "\n",
    ):
        assert read_report(reports, name) is None, name


@pytest.mark.browser
def test_the_server_sends_them_with_a_policy_and_refuses_the_rest(stage, dashboard):
    (path,) = stage.profile.reports.glob("report-*.html")

    def get(target, **headers):
        with contextlib.closing(http.client.HTTPConnection(urlsplit(dashboard).netloc, timeout=60)) as connection:
            connection.request("GET", target, headers=headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

    status, headers, content = get(f"/reports/{path.name}")
    assert (status, content) == (200, path.read_bytes())
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "Content-Disposition" not in headers
    assert f'filename="{path.name}"' in get(f"/reports/{path.name}?download=1")[1]["Content-Disposition"]
    assert get(f"/reports/{path.name}", Host="evil.example")[0] == 403
    for target in (
        "/reports/",
        "/reports/..%2Fprofile.json",
        "/reports/../profile.json",
        "/reports/%2e%2e/profile.json",
        "/reports/report-x.html",
    ):
        status, _, content = get(target)
        assert status == 404, target
        assert b"trade_stream" not in content
