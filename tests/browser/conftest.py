"""A headless Chromium, and pages whose console is watched."""

from __future__ import annotations

import os
import shutil

import pytest
from django.db import connections
from playwright.sync_api import sync_playwright

ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="session")
def chromium_path():
    """Return where Chromium is; skip where it is missing, fail where CI is set."""
    path = shutil.which("chromium")
    if path is None:
        reason = "Chromium is not installed (apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path


@pytest.fixture
def page(chromium_path, monkeypatch):
    """Return a page under a strict content policy; an error in its console fails the test."""
    # Playwright's synchronous API keeps an event loop in this thread, which Django would refuse.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    problems = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(20_000)
        page.route("**/*", strictly)
        page.on("console", lambda line: line.type == "error" and problems.append(line.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        yield page
        browser.close()
        # With that loop running, Django gave this thread other connections than it has outside.
        connections.close_all()
    assert problems == []


def strictly(route):
    """Answer as the server does, under a policy that refuses everything inline."""
    if route.request.url.endswith("/favicon.ico"):
        route.fulfill(status=204)
        return
    answer = route.fetch(max_redirects=0)
    policy = {"content-security-policy": "default-src 'self'"}
    route.fulfill(response=answer, headers={**answer.headers, **policy})
