"""Returns over HTTP: lists and files with their filters, and requests that are wrong."""

import csv
import io
import zipfile
from collections.abc import Iterator

import pytest

from returns_pipeline.records.access import Role
from tests.return_rows import add_returns
from tests.web import Site, site

_COUNT = 40


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give the web alone, with returns of every verdict."""
    with site(tmp_path_factory.mktemp("site"), with_workers=False) as running:
        assert "There is no return yet." in running.page("/returns").text
        assert "Returns that are not decided" not in running.page("/").text
        add_returns(running.home.database, _COUNT)
        yield running


def test_a_list_of_rest_is_walked_by_its_cursor(here: Site) -> None:
    """Every return once, the worst first; the total is that of all pages."""
    found: list[str] = []
    cursor = None
    while True:
        more: dict[str, str] = {"cursor": cursor} if cursor else {}
        page = here.ask("GET", "/api/v1/returns", params={"order": "worst", "limit": 7, **more}).json()
        found += [each["verdict"] for each in page["returns"]]
        assert (page["total"], page["total_is_exact"]) == (_COUNT, True)
        cursor = page["next"]
        if cursor is None:
            break
    assert len(found) == _COUNT
    assert found[:5] == ["mismatch"] * 5
    assert found[-5:] == [None] * 5


def test_a_file_has_the_returns_of_its_filter(here: Site) -> None:
    """As CSV with a sentence, and as a workbook; a viewer may have both."""
    viewer = here.token_for(Role.VIEWER)
    reply = here.ask("GET", "/api/v1/returns/export?verdict=mismatch&customer=C-0", viewer)
    rows = list(csv.DictReader(io.StringIO(reply.text)))
    assert [row["number"] for row in rows] == ["R-0010"]
    assert rows[0]["reason"].startswith("Expected: dark. The photo shows: white.")
    assert "checked-returns" in reply.headers["content-disposition"]
    workbook = here.ask("GET", "/api/v1/returns/export?format=xlsx", viewer)
    sheet = zipfile.ZipFile(io.BytesIO(workbook.content)).read("xl/worksheets/sheet1.xml").decode()
    assert sheet.count("<row ") == _COUNT + 1
    assert here.ask("GET", "/api/v1/runs/77/returns.csv").status_code == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/returns?verdict=nothing", 422),
        ("/api/v1/returns?cursor=abc", 400),
        ("/api/v1/returns?cursor=WzksIG51bGwsIDFd", 400),
        ("/api/v1/returns?q=%00", 400),
        ("/returns?verdict=nothing&since=", 200),
        ("/returns/%00", 400),
        ("/returns/R%2F1", 404),
        ("/returns/R-0001?verdict=match&order=worst", 200),
    ],
)
def test_a_wrong_request_is_refused_or_filters_nothing(here: Site, path: str, status: int) -> None:
    """REST refuses an unknown value; a page ignores it; a number that cannot be one is not found."""
    assert here.page(path).status_code == status


def test_only_reviewers_decide(here: Site) -> None:
    """A viewer sees a return without buttons."""
    page = here.ask("GET", "/returns/R-0002", here.token_for(Role.VIEWER), headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert "Reject the return" not in page.text
