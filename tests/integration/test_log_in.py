"""Guessing passwords and tokens is limited, and no guess keeps another person or program out."""

import statistics
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
import requests
from argon2 import PasswordHasher

from returns_pipeline.records.access import Role
from returns_pipeline.store import access
from returns_pipeline.web.security.access import hash_password
from tests.web import Site, site

PASSWORD = "correct horse"  # noqa: S105 - of a home that lives as long as this test
NAMES = ("ann", "bob", "eve")
OTHERS = [f"other{number}" for number in range(26)]
_numbers = count(1)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give the web alone, with three users. It trusts the forwarded address that these tests send."""
    folder = tmp_path_factory.mktemp("site")
    with site(folder, with_workers=False, web_proxies="127.0.0.1,10.0.0.0/24") as running:
        # The hash of a password tells how much its check costs: these are cheap, so that the tests are quick.
        cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
        for name in (*NAMES, *OTHERS):
            access.add_user(running.home.database, name, cheap, Role.VIEWER)
        access.add_user(running.home.database, "real", hash_password(PASSWORD), Role.VIEWER)
        yield running


@pytest.fixture
def address() -> str:
    """Give an address that no other test uses."""
    return f"198.51.100.{next(_numbers)}"


def log_in(
    here: Site, name: str, password: str, address: str, cookies: dict[str, str] | None = None
) -> requests.Response:
    """Send the form from an address."""
    form, headers = {"name": name, "password": password}, {"X-Forwarded-For": address}
    return requests.post(
        f"{here.url}/login", data=form, headers=headers, cookies=cookies, allow_redirects=False, timeout=60
    )


def statuses(here: Site, tries: int, name: str, address: str) -> list[int]:
    """Return the statuses of wrong guesses, one after the other."""
    return [log_in(here, name, "wrong", address).status_code for _ in range(tries)]


def test_guesses_with_a_name_do_not_keep_its_owner_out(here: Site, address: str) -> None:
    """The owner comes in from another address, and at the attacker's address in a browser that is known."""
    known = log_in(here, "ann", PASSWORD, "203.0.113.1").cookies.get_dict()
    del known["returns_session"]
    assert statuses(here, 10, "ann", address) == [401] * 5 + [429] * 5
    assert log_in(here, "ann", PASSWORD, address).status_code == 429
    assert log_in(here, "ann", PASSWORD, "203.0.113.2").status_code == 303
    assert log_in(here, "ann", PASSWORD, address, known).status_code == 303
    # The browser is known for its own users only, and a cookie that is not signed says nothing.
    assert statuses(here, 5, "bob", address) == [401] * 5
    assert log_in(here, "bob", PASSWORD, address, known).status_code == 429
    forged = {"returns_device": known["returns_device"][:-4] + "AAAA"}
    assert log_in(here, "ann", PASSWORD, address, forged).status_code == 429


def test_a_known_browser_has_its_own_limit(here: Site, address: str) -> None:
    """A stolen cookie gives ten guesses a minute, and does not keep the owner out elsewhere."""
    known = log_in(here, "eve", PASSWORD, address).cookies.get_dict()
    shared = log_in(here, "bob", PASSWORD, address, known).cookies.get_dict()
    found = [log_in(here, "eve", "wrong", address, shared).status_code for _ in range(11)]
    assert found == [401] * 10 + [429]
    assert log_in(here, "bob", PASSWORD, address, shared).status_code == 303
    assert log_in(here, "eve", PASSWORD, address).status_code == 303


def test_successes_neither_use_up_nor_reset_the_attempts_of_an_office(here: Site, address: str) -> None:
    """Forty people log in at the same moment; guesses with another name count on through successes."""
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda _: log_in(here, "ann", PASSWORD, address).status_code, range(40)))
    assert found == [303] * 40
    for _ in range(5):
        assert statuses(here, 1, "bob", address) == [401]
        assert log_in(here, "ann", PASSWORD, address).status_code == 303
    assert statuses(here, 1, "bob", address) == [429]
    assert [log_in(here, name, "wrong", address).status_code for name in OTHERS] == [401] * 25 + [429]
    assert log_in(here, "ann", PASSWORD, address).status_code == 429


def test_guesses_at_the_same_moment_count_too(here: Site, address: str) -> None:
    """At most one more than five is checked, because two are checked at the same time."""
    with ThreadPoolExecutor(20) as pool:
        found = Counter(pool.map(lambda _: log_in(here, "eve", "wrong", address).status_code, range(40)))
    assert set(found) == {401, 429}
    assert 5 <= found[401] <= 6


def test_the_last_address_before_the_proxies_counts(here: Site, address: str) -> None:
    """What a client writes into the forwarded header itself changes nothing."""
    for number in range(5):
        forged = f"203.0.113.{number}, 10.0.0.7, {address}, 10.0.0.1, 127.0.0.1"
        assert log_in(here, "eve", "wrong", forged).status_code == 401
    assert log_in(here, "eve", "wrong", address).status_code == 429
    assert log_in(here, "eve", "wrong", f"8.8.8.8,{address}").status_code == 429


def test_an_unknown_name_takes_as_long_as_a_known_one(here: Site) -> None:
    """The time does not reveal which names exist."""

    def seconds(name: str) -> float:
        began = time.perf_counter()
        assert statuses(here, 1, name, f"2001:db8:{next(_numbers):x}::1") == [401]
        return time.perf_counter() - began

    times = [(seconds("real"), seconds("nobody")) for _ in range(5)]
    known, unknown = (statistics.median(each) for each in zip(*times, strict=True))
    assert 0.5 < unknown / known < 2


def test_guessing_tokens_is_limited_but_valid_ones_go_on(here: Site, address: str) -> None:
    """Thirty wrong tokens a minute from one address; one that is repeated counts once."""
    headers = {"X-Forwarded-For": address}

    def status(token: str) -> int:
        return here.ask("GET", "/api/v1/runs", token=token, headers=headers).status_code

    valid = here.token_for(Role.VIEWER)
    assert status(valid) == 200
    assert {status("revoked") for _ in range(50)} == {401}
    assert [status(f"guess {number}") for number in range(30)] == [401] * 29 + [429]
    refused = here.ask("GET", "/api/v1/runs", token="another", headers=headers)  # noqa: S106 - a guess
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")
    assert here.ask("GET", "/?token=guess", token="", headers=headers).status_code == 429
    assert (status(valid), status(here.token)) == (200, 200)
    assert here.ask("GET", "/api/v1/runs", token="another").status_code == 401  # noqa: S106 - a guess


@pytest.mark.parametrize(
    "value", ["Basic \xe9\xe9", "Basic ====", "Basic", "Bearer", "Bearer \xe9", "Basic /w=="]
)
def test_no_form_of_credentials_is_an_internal_error(here: Site, value: str) -> None:
    """Bytes that are neither base64 nor UTF-8 are a wrong token."""
    headers = {"Authorization": value.encode("latin-1")}
    answer = requests.get(f"{here.url}/api/v1/runs", headers=headers, timeout=60)
    assert answer.status_code == 401
