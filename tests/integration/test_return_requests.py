"""Returns over HTTP and with real workers: a named return, a decision, a correction, metrics."""

from collections.abc import Iterator

import pytest

from returns_pipeline.records.access import Role
from returns_pipeline.store import return_links, returns
from tests.faults.night import until
from tests.returns import announce, verdicts, with_returns, write_item
from tests.web import Site, site


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give one running installation to all tests of this module."""
    with site(tmp_path_factory.mktemp("site"), folder_pattern="^(RMA-[0-9]+)$") as running:
        with_returns(running.home)
        yield running


def test_a_return_over_http(here: Site) -> None:
    """A photo names its return; a worker judges it; a review changes the verdict before its reply."""
    database = here.home.database
    announce(database, {"RMA-1": "white"})
    path = here.home.settings.home / "a.png"
    write_item(path, "white")
    answer = here.ask(
        "POST", "/predict", files={"file": ("a.png", path.read_bytes())}, data={"return": "RMA-1"}
    )
    assert answer.status_code == 200, answer.text
    until(lambda: verdicts(database)["RMA-1"] == "match", 20, "the return is judged")
    found = returns.find(database, "RMA-1")
    assert found is not None
    (photo,) = return_links.photos_of_return(database, found.id)
    assert photo.source == "given"
    assert here.ask("POST", f"/api/v1/reviews/{photo.id}", json={"label": "dark"}).status_code == 200
    assert verdicts(database)["RMA-1"] == "mismatch"
    assert here.ask("POST", "/api/v1/reviews/undo/last").status_code == 200
    assert verdicts(database)["RMA-1"] == "match"
    for wrong in ("x" * 101, "a\nb"):
        refused = here.ask(
            "POST", "/predict", files={"file": ("a.png", path.read_bytes())}, data={"return": wrong}
        )
        assert refused.status_code == 400
        assert "number of the return" in refused.json()["error"]


def test_an_uploaded_file_keeps_its_return_until_the_night(here: Site) -> None:
    """The upload of a part names the return; the scan links the photo to it."""
    import hashlib

    path = here.home.settings.home / "b.png"
    write_item(path, "dark", seed=5)
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    query = f"size={len(content)}&offset=0&name=b.png&return=RMA%2F2"
    done = here.ask("PUT", f"/api/v1/uploads/{digest}?{query}", data=content)
    assert done.json() == {"offset": len(content), "done": True}, done.text
    assert here.home.run("scan", "--wait").returncode == 0
    assert verdicts(here.home.database)["RMA/2"] == "unexpected"


def test_deleted_photos_say_nothing_any_more(here: Site) -> None:
    """A deletion over HTTP or on the command line takes the verdict back before it ends."""
    database = here.home.database
    announce(database, {"RMA-7": "white", "RMA-8": "white"})
    for seed, name in enumerate(("RMA-7", "RMA-8"), 7):
        write_item(here.home.settings.incoming_dir / name / "a.png", "white", seed=seed)
    assert here.home.run("scan", "--wait").returncode == 0
    ids = {}
    for number in ("RMA-7", "RMA-8"):
        found = returns.find(database, number)
        assert found is not None
        assert found.verdict == "match"
        (photo,) = return_links.photos_of_return(database, found.id)
        ids[number] = photo.id
    assert here.ask("DELETE", f"/api/v1/images/{ids['RMA-7']}").status_code == 200
    assert verdicts(database)["RMA-7"] is None
    assert here.home.run("images", "delete", str(ids["RMA-8"]), "--yes").returncode == 0
    assert verdicts(database)["RMA-8"] is None


def test_decisions_over_http_and_on_the_command_line(here: Site) -> None:
    """The second person gets 409 with name and time; a viewer may not decide; metrics count returns."""
    announce(here.home.database, {"RMA-3": "white"})
    path = "/api/v1/returns/RMA-3/decision"
    viewer = here.token_for(Role.VIEWER)
    assert here.ask("POST", path, token=viewer, json={"decision": "accept"}).status_code == 403
    first = here.ask("POST", path, json={"decision": "reject", "note": "torn"})
    assert first.status_code == 200, first.text
    other = here.ask("POST", path, token=here.token_for(Role.REVIEWER), json={"decision": "accept"})
    assert other.status_code == 409
    assert "has decided return RMA-3 meanwhile" in other.json()["error"]
    assert here.ask("POST", "/api/v1/returns/none/decision", json={"decision": "open"}).status_code == 404
    shown = here.home.json("returns", "show", "RMA-3")
    assert (shown["decision"], shown["decision_note"]) == ("reject", "torn")
    version = str(shown["decision_version"])
    assert here.home.run("returns", "decide", "RMA-3", "accept").returncode != 0
    replaced = here.home.json("returns", "decide", "RMA-3", "accept", "--replaces", version, "--who", "ann")
    assert (replaced["decision"], replaced["decided_by"]) == ("accept", "ann")
    assert [event["action"] for event in replaced["history"]] == ["decision", "decision"]
    metrics = here.ask("GET", "/metrics").text
    assert "returns_undecided " in metrics
    assert 'returns_verdicts{verdict="' in metrics
