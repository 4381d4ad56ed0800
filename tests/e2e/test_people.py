"""An admin and a new colleague, in a real browser: from the first password to the audit log."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from returns_pipeline.records.access import Role
from returns_pipeline.store import access
from returns_pipeline.web.security.access import hash_password
from tests.web import Site, site

expect.set_options(timeout=30_000)
PASSWORD = "correct horse"  # noqa: S105 - of a home that lives as long as this test


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give the web alone, with one admin."""
    with site(tmp_path_factory.mktemp("site"), with_workers=False) as running:
        access.add_user(running.home.database, "boss", hash_password(PASSWORD), Role.ADMIN)
        yield running


def open_page(here: Site, browser: Browser, name: str, password: str) -> Page:
    """Log in with a browser of its own."""
    page = browser.new_context(base_url=here.url).new_page()
    page.goto("/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    return page


def test_a_colleague_comes_and_goes(here: Site, browser: Browser) -> None:
    """Added with a generated password, chooses an own one, makes a token, is disabled: the log has it all."""
    boss = open_page(here, browser, "boss", PASSWORD)
    boss.get_by_role("link", name="Users").click()
    boss.get_by_label("Name", exact=True).fill("anna")
    boss.get_by_role("button", name="Add the user").click()
    generated = boss.locator(".secret").inner_text()

    anna = open_page(here, browser, "anna", generated)
    expect(anna.get_by_text("Choose one of your own")).to_be_visible()
    expect(anna.get_by_role("navigation").get_by_role("link")).to_have_count(0)
    anna.goto("/runs")
    expect(anna).to_have_url(re.compile("/account"))
    anna.get_by_label("Present password").fill(generated)
    for label in ("New password (8", "New password again"):
        anna.get_by_label(label).fill("my own words")
    anna.get_by_role("button", name="Change the password").click()
    expect(anna.get_by_role("heading", level=1)).to_have_text("Tonight")
    anna.get_by_role("link", name="Account").click()
    anna.get_by_role("combobox", name="Language").select_option("Deutsch")
    anna.get_by_role("button", name="Store").click()
    anna.get_by_label("Name des Tokens").fill("till")
    anna.get_by_role("button", name="Token anlegen").click()
    token = anna.locator(".secret").inner_text()
    assert here.ask("GET", "/api/v1/runs", token=token).status_code == 200
    expect(anna.get_by_text("anna/till")).to_be_visible()

    boss.goto("/users")
    boss.locator("main").get_by_role("link", name="anna").click()
    boss.get_by_role("button", name="Disable anna").click()
    expect(boss.get_by_role("status")).to_contain_text("anna cannot log in any more")
    assert here.ask("GET", "/api/v1/runs", token=token).status_code == 401
    anna.goto("/account")
    expect(anna).to_have_url(re.compile("/login"))

    boss.get_by_role("link", name="What anna did").click()
    rows = boss.locator("main tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.nth(0)).to_contain_text("token added")
    expect(rows.nth(1)).to_contain_text("password changed")
    boss.get_by_label("Person").fill("boss")
    boss.get_by_label("Person").press("Tab")
    expect(boss).to_have_url(re.compile("by=boss"))
    boss.get_by_role("combobox", name="What").select_option("user disabled")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("user anna")
    for name, ending in (("Download CSV", "csv"), ("Download for Excel", "xlsx")):
        with boss.expect_download() as download:
            boss.get_by_role("link", name=name).click()
        assert download.value.suggested_filename == f"audit.{ending}"
        assert Path(download.value.path()).stat().st_size > 50
