"""The web in two languages: what a browser prefers, a user's setting, and programs."""

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import pytest
import requests
from argon2 import PasswordHasher
from openpyxl import load_workbook
from starlette.concurrency import run_in_threadpool
from starlette.types import Message, Receive, Scope, Send

from returns_pipeline.classify.bundle import find_bundle
from returns_pipeline.languages import gettext, prefer
from returns_pipeline.records.access import Role
from returns_pipeline.store import access
from returns_pipeline.web.language import Language
from tests.web import Site, closed_run, site

PASSWORD = "correct horse"  # noqa: S105 - of a home that lives as long as this test
GERMAN, ENGLISH = "de-DE,de;q=0.9,en;q=0.5", "en-GB,en;q=0.9,de;q=0.1"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give the web alone, of an installation that speaks German where no browser decides."""
    folder = tmp_path_factory.mktemp("site")
    with site(folder, with_workers=False, language="de") as running:
        yield running


def log_in_page(here: Site, language: str | None) -> requests.Response:
    headers = {"Accept": "text/html"} | ({"Accept-Language": language} if language is not None else {})
    # Without a session, so that requests' own default header does not count either.
    request = requests.Request("GET", f"{here.url}/login", headers=headers).prepare()
    with requests.Session() as session:
        return session.send(request)


@pytest.mark.parametrize(
    ("language", "heading"),
    [
        (GERMAN, "Anmelden"),
        (ENGLISH, "Log in"),
        ("fr", "Anmelden"),
        (None, "Anmelden"),
        ("xx;q=zz", "Anmelden"),
    ],
)
def test_a_page_has_the_language_of_the_browser(here: Site, language: str | None, heading: str) -> None:
    """An unknown language is that of the installation; the response says which one it has, and why."""
    page = log_in_page(here, language)
    assert f"<h1>{heading}</h1>" in page.text
    assert page.headers["Content-Language"] == ("en" if heading == "Log in" else "de")
    assert "Accept-Language" in page.headers["Vary"]


def test_a_program_reads_english_unless_it_asks(here: Site) -> None:
    """An error's status is the same in each language; its sentences follow Accept-Language alone."""

    def error(headers: dict[str, str]) -> dict[str, str]:
        reply = here.ask("GET", "/api/v1/runs/77", headers=headers)
        assert reply.status_code == 404
        body: dict[str, str] = reply.json()
        return body

    assert error({})["error"] == "There is no run 77."
    assert error({"Accept-Language": GERMAN})["error"] == "Es gibt keinen Lauf 77."
    assert error({"Accept-Language": "fr"})["error"] == "There is no run 77."


def test_readers_of_two_languages_at_the_same_time_never_mix(here: Site) -> None:
    """Each of many requests at once gets its own language, also from the threads that serve it."""

    def is_right(number: int) -> bool:
        language, word = ((GERMAN, "Anmelden"), (ENGLISH, "Log in"))[number % 2]
        return f"<h1>{word}</h1>" in log_in_page(here, language).text

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(is_right, range(80)))


@pytest.mark.parametrize(
    ("setting", "browser", "heading"),
    [
        ("de", ENGLISH, "Anmelden"),
        ("en", GERMAN, "Log in"),
        (None, GERMAN, "Anmelden"),
        ("tlh", ENGLISH, "Log in"),
    ],
)
def test_a_users_setting_wins_over_the_browser(setting: str | None, browser: str, heading: str) -> None:
    """What a log-in prefers in one thread counts for the rest of its request in every thread."""
    said: list[str] = []

    async def app(_: Scope, __: Receive, ___: Send) -> None:
        await run_in_threadpool(prefer, setting)
        said.append(gettext("Log in"))
        said.append(await run_in_threadpool(gettext, "Log in"))

    async def receive() -> Message:
        return {}

    async def send(_: Message) -> None:
        return None

    scope: Scope = {"type": "http", "headers": [(b"accept-language", browser.encode())]}
    asyncio.run(Language(app, "en", dict)(scope, receive, send))
    assert said == [heading, heading]


@pytest.mark.parametrize(
    ("chosen", "browser", "words"),
    [
        ("de", ENGLISH, ("de", "Passwort ändern", "Es gibt kein Foto 77.")),
        ("en", GERMAN, ("en", "Change the password", "There is no image 77.")),
        ("", GERMAN, ("de", "Passwort ändern", "Es gibt kein Foto 77.")),
    ],
)
def test_a_users_own_language_wins_on_every_page(
    here: Site, chosen: str, browser: str, words: tuple[str, str, str]
) -> None:
    """The page Account stores it; from then on pages, faults and REST speak it, and no other user's do."""
    name, language = f"reader {chosen or 'browser'}", words[0]
    hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    access.add_user(here.home.database, name, hashed, Role.VIEWER)
    access.add_user(here.home.database, f"{name} 2", hashed, Role.VIEWER)
    with requests.Session() as mine, requests.Session() as other:
        for session, who in ((mine, name), (other, f"{name} 2")):
            session.headers.update({"Accept": "text/html", "Accept-Language": browser})
            session.post(f"{here.url}/login", {"name": who, "password": PASSWORD}).raise_for_status()
        page = mine.get(f"{here.url}/account").text
        csrf = re.search(r'name="csrf" value="([^"]+)"', page)
        assert csrf is not None
        stored = mine.post(f"{here.url}/account/language", {"csrf": csrf[1], "language": chosen})
        assert stored.headers["Content-Language"] == language
        account = mine.get(f"{here.url}/account")
        assert f'<html lang="{language}"' in account.text
        assert words[1] in account.text
        assert words[2] in mine.get(f"{here.url}/images/77").text
        assert mine.get(f"{here.url}/api/v1/images/77").json()["error"] == words[2]
        assert other.get(f"{here.url}/account").headers["Content-Language"] == browser[:2]
    found = access.user(here.home.database, name)
    assert found is not None
    assert found[0].language == (chosen or None)


def test_pages_and_workbooks_name_categories_in_the_readers_language(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Labels stay the ids of CSV, REST and database; a German reader sees and finds the bundle's names."""
    with site(tmp_path_factory.mktemp("site")) as here:
        models = here.home.settings.models_dir
        bundle = find_bundle(models, "stub/1")
        digest = bundle.digest
        bundle.names["de"] = {label: f"Wort {number}" for number, label in enumerate(bundle.labels)}
        bundle.save()
        assert find_bundle(models, "stub/1").digest == digest
        run_id = closed_run(here, 4)
        image = here.ask("GET", f"/api/v1/images?run={run_id}").json()["images"][0]
        label, german = image["final_label"], bundle.names["de"][image["final_label"]]

        def german_reply(path: str, **more: str) -> requests.Response:
            return here.ask("GET", path, headers={"Accept-Language": GERMAN, **more})

        sheet = german_reply(f"/api/v1/runs/{run_id}/export?format=xlsx").content
        rows = [[cell.value for cell in row] for row in load_workbook(BytesIO(sheet))["Retouren"].iter_rows()]
        assert {"Datei", "Endgültige Kategorie", "Geprüft von"} <= set(rows[0])
        assert german in {row[rows[0].index("Endgültige Kategorie")] for row in rows[1:]}
        csv = german_reply(f"/api/v1/runs/{run_id}/export?format=csv").text
        assert (csv.startswith("filename,"), german in csv, label in csv) == (True, False, True)
        found = here.ask("GET", "/api/v1/images", params={"q": f'category:"{german}"'}).json()["images"]
        assert {each["final_label"] for each in found} == {label}
        page = german_reply(f"/images/{image['id']}", Accept="text/html").text
        assert f">{german}<" in page
        assert "Endgültige Kategorie" in page
