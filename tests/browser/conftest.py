"""A headless Chromium, and pages whose console is watched."""

from __future__ import annotations

import os
import shutil

import pytest
from django.db import connections
from playwright.sync_api import expect, sync_playwright

from tests.admin_pages import superuser, url

ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]

# So wide that only a hang breaks it: a busy machine takes seconds for a page.
expect.set_options(timeout=20_000)


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
def browser(chromium_path, monkeypatch):
    """Return a browser."""
    # Playwright's synchronous API keeps an event loop in this thread, which Django would refuse.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium_path, args=ARGUMENTS)
        yield started
        started.close()
        # With that loop running, Django gave this thread other connections than it has outside.
        connections.close_all()


@pytest.fixture
def expected_problems():
    """Return a list for parts of the errors that a test means to see in the console."""
    return []


@pytest.fixture
def page(browser, expected_problems):
    """Return a page under a strict content policy; an error in its console fails the test."""
    problems = []
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(20_000)
    page.route("**/*", strictly)
    page.on("console", lambda line: line.type == "error" and problems.append(line.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    # A refresh on its way would be answered by a server that is gone.
    page.goto("about:blank")
    page.unroute_all(behavior="ignoreErrors")
    unexpected = [one for one in problems if not any(part in one for part in expected_problems)]
    assert unexpected == []


@pytest.fixture
def operator():
    """Make a superuser."""
    return superuser()


@pytest.fixture
def signed_in(page, live_server, operator):
    """Sign in through the form and return the page."""
    page.goto(live_server.url + url("index"))
    sign_in(page)
    return page


@pytest.fixture
def browser_without_scripts(browser, live_server, operator):
    """Return a page of a signed-in operator whose browser runs no scripts."""
    page = browser.new_page(java_script_enabled=False)
    page.goto(live_server.url + url("index"))
    sign_in(page)
    return page


def sign_in(page):
    """Fill in the form of the first page."""
    page.fill("#id_username", "root")
    page.fill("#id_password", "root")
    page.click("input[type=submit]")


def strictly(route):
    """Answer as the server does, under a policy that refuses everything inline."""
    if route.request.url.endswith("/favicon.ico"):
        route.fulfill(status=204)
        return
    answer = route.fetch(max_redirects=0)
    policy = {"content-security-policy": "default-src 'self'"}
    route.fulfill(response=answer, headers={**answer.headers, **policy})
