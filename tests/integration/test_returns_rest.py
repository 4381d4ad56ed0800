"""Returns over HTTP."""

from collections.abc import Iterator

import pytest

from returns_pipeline.records.access import Role
from tests.web import Site, site


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give a running installation to all tests of this module."""
    with site(tmp_path_factory.mktemp("site")) as running:
        yield running


def test_a_return_is_put_and_read(here: Site) -> None:
    """The same request changes nothing; a missing field stays, null empties; a wrong one changes nothing."""
    path = "/api/v1/returns/R-1"
    body = {"expected": "Dark", "customer": "K1", "date": "2026-11-01", "note": "torn"}
    first = here.ask("PUT", path, json=body).json()
    assert (first["expected"], first["customer"], first["announced_on"]) == ("dark", "K1", "2026-11-01")
    assert here.ask("PUT", path, json=body).json() == first
    changed = here.ask("PUT", path, json={"note": None}).json()
    assert (changed["note"], changed["expected"]) == (None, "dark")
    refused = here.ask("PUT", path, json={"expected": "blue"})
    assert (refused.status_code, "blue" in refused.text) == (400, True)
    assert here.ask("GET", path).json() == changed
    assert here.ask("GET", "/api/v1/returns/unknown").status_code == 404
    actions = [each["action"] for each in here.ask("GET", "/api/v1/audit").json()["events"]]
    assert actions.count("return_change") == 2


def test_many_returns_have_a_result_each(here: Site) -> None:
    """10,000 returns in one request; a wrong one is refused alone; the same request changes nothing."""
    sent = [{"number": f"M-{number}", "expected": "dim", "order": "B" * 90} for number in range(9998)]
    sent += [{"number": "M-1", "expected": "dark"}, {"number": "X", "date": "tomorrow"}]
    for expected in ("added", "unchanged"):
        results = here.ask("POST", "/api/v1/returns", json={"returns": sent}).json()["results"]
        assert [each["number"] for each in results] == [each["number"] for each in sent]
        assert {each["result"] for each in results[:-2]} == {expected}
        assert [each["result"] for each in results[-2:]] == ["refused"] * 2
    too_many = {"returns": [*sent, {"number": "Y"}]}
    assert here.ask("POST", "/api/v1/returns", json=too_many).status_code == 422


def test_roles_of_returns(here: Site) -> None:
    """A viewer reads, a reviewer announces, and only an admin deletes a customer's data."""
    viewer, reviewer = here.token_for(Role.VIEWER), here.token_for(Role.REVIEWER)
    path, customer = "/api/v1/returns/R-7", "/api/v1/customers/K7"
    assert here.ask("PUT", path, viewer, json={}).status_code == 403
    assert here.ask("PUT", path, reviewer, json={"customer": "K7"}).status_code == 200
    assert here.ask("GET", path, viewer).status_code == 200
    assert here.ask("DELETE", customer, reviewer).status_code == 403
    assert here.ask("DELETE", customer).json() == {"returns": 1, "photos": 0, "files_left": 0}
    assert here.ask("DELETE", customer).status_code == 404
    assert here.ask("GET", path, viewer).json()["customer"] is None
