"""The REST interface: the right response for each role, and a sentence for every error."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from returns_pipeline.records.access import Role
from returns_pipeline.store import tables
from returns_pipeline.web.export import FORMATS
from tests.faults.night import until
from tests.support import LABELS
from tests.web import Site, closed_run, site

IMAGE = "image/png"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give one running installation to all tests of this module."""
    with site(tmp_path_factory.mktemp("site"), api_max_bytes=8 * 2**20) as running:
        yield running


@pytest.fixture(scope="module")
def night(here: Site) -> int:
    """Give a closed run with 300 files, two of which are not images."""
    (here.home.settings.incoming_dir / "broken.png").write_bytes(b"no picture")
    (here.home.settings.incoming_dir / "empty.jpg").write_bytes(b"")
    return closed_run(here, 298)


def test_images_can_be_searched(here: Site, night: int) -> None:
    """`q` means what it means in the search box and narrows the filters; pages do not overlap."""
    answer = here.ask("GET", f"/api/v1/images?q=MAGE_12&run={night}&limit=4").json()
    assert answer["total_is_exact"]
    found = [image["name"] for image in answer["images"]]
    while answer["next"]:
        path = f"/api/v1/images?q=MAGE_12&run={night}&limit=4&cursor={answer['next']}"
        answer = here.ask("GET", path).json()
        found += [image["name"] for image in answer["images"]]
    assert len(found) == answer["total"] == 11
    assert {name.partition("_label")[0] for name in found} == {f"image_{n}" for n in (12, *range(120, 130))}
    unusable = here.ask("GET", f"/api/v1/images?q=unusable run {night}").json()
    assert {image["name"] for image in unusable["images"]} == {"broken.png", "empty.jpg"}
    assert here.ask("GET", "/api/v1/images?q=image&order=doubt&run=1").status_code == 400
    assert here.ask("GET", "/api/v1/images").json()["total"] is None
    page = here.page("/search?q=%22<script>&label='%25&state=x&after=1&before=0")
    assert page.status_code == 200
    assert "<script>" not in page.text.replace("<script src", "")
    listed = here.home.json("images", "list", "--search", f"broken run {night}")
    assert [image["path"].rpartition("/")[2] for image in listed] == ["broken.png"]
    assert here.home.run("images", "list").returncode == 2
    assert (
        "298 images match; 5 are listed."
        in here.home.run("images", "list", "--search", f"name:image run:{night}", "--limit", "5").stdout
    )


def test_images_can_be_filtered_and_paged(here: Site, night: int) -> None:
    """Every image is on exactly one page, in both orders; a filter leaves out all others."""
    for order, expected in (("id", 300), ("doubt", 298)):
        seen, cursor = [], None
        while True:
            query = {"run": night, "limit": 70, "order": order} | ({"cursor": cursor} if cursor else {})
            page = here.ask("GET", "/api/v1/images", params=query).json()
            seen += [image["id"] for image in page["images"]]
            if (cursor := page["next"]) is None:
                break
        assert len(seen) == len(set(seen)) == expected
    query = {"run": night, "state": "quarantined"}
    found = here.ask("GET", "/api/v1/images", params=query).json()["images"]
    assert {image["name"]: image["code"] for image in found} == {
        "broken.png": "not_an_image",
        "empty.jpg": "empty_file",
    }
    assert not any("/" in image["name"] for image in found)


def test_a_run_is_exported_in_every_format(here: Site, night: int) -> None:
    """CSV, Excel, JSON and Parquet have the same columns and rows, one for each image."""
    from openpyxl import load_workbook
    from pyarrow import parquet

    texts = {
        kind: here.ask("GET", f"/api/v1/runs/{night}/export", params={"format": kind}).content
        for kind in FORMATS
    }
    rows = list(csv.DictReader(io.StringIO(texts["csv"].decode())))
    objects = json.loads(texts["json"])
    table = parquet.read_table(io.BytesIO(texts["parquet"])).to_pylist()
    assert list(rows[0]) == list(objects[0]) == list(table[0])
    names = [row["filename"] for row in rows]
    assert len(names) == 300
    assert names == [each["filename"] for each in objects] == [each["filename"] for each in table]
    assert [each["prediction"] for each in objects] == [each["prediction"] for each in table]
    header, *cells = load_workbook(io.BytesIO(texts["xlsx"]), read_only=True).active.values
    sheet = [dict(zip(header, row, strict=True)) for row in cells]
    assert list(header) == list(rows[0])
    assert [(each["filename"], each["prediction"]) for each in sheet] == [
        (each["filename"], each["prediction"]) for each in objects
    ]


def test_the_lists_of_some_days_have_every_run_of_them(here: Site, night: int) -> None:
    """Today's list has each image of today's runs once; yesterday's, before the first run, has none."""
    run = here.ask("GET", f"/api/v1/runs/{night}").json()
    day = run["opened_at"][:10]
    runs = [each for each in here.ask("GET", "/api/v1/runs").json()["runs"] if each["opened_at"][:10] == day]
    answer = here.ask("GET", "/api/v1/export", params={"from": day, "to": day, "bom": 1})
    assert answer.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert Counter(int(row["run"]) for row in rows) == {each["id"]: each["seen"] for each in runs}
    assert datetime.fromisoformat(rows[0]["received_at"]).tzinfo is None
    assert f'filename="returns-{day}-incoming.csv"' in answer.headers["content-disposition"]
    before = here.ask("GET", "/api/v1/export", params={"from": "2026-01-01", "to": "2026-01-02"})
    assert before.content.count(b"\n") == 1
    for wrong in ({"from": "2026-01-02", "to": "2026-01-01"}, {"from": "monday"}, {"to": "2026-01-01"}):
        refused = here.ask("GET", "/api/v1/export", params=wrong)
        assert refused.status_code in {400, 422}, wrong
        assert refused.json()["error"]


def test_thumbnails_are_webp(here: Site, night: int) -> None:
    """A thumbnail is a WebP in one of a few sizes; what is not an image has a placeholder with a header."""
    found = here.ask("GET", "/api/v1/images", params={"run": night, "state": "classified"}).json()["images"]
    picture = here.ask("GET", f"/api/v1/images/{found[0]['id']}/thumbnail?size=64")
    assert picture.headers["content-type"] == "image/webp"
    assert picture.content[8:12] == b"WEBP"
    steps = [
        here.ask("GET", f"/api/v1/images/{found[0]['id']}/thumbnail?size={size}") for size in range(401, 405)
    ]
    assert len({(step.status_code, step.content, step.headers["etag"]) for step in steps}) == 1
    for size, status in ((15, 422), (16, 200), (2048, 200), (2049, 422)):
        picture = here.ask("GET", f"/api/v1/images/{found[0]['id']}/thumbnail?size={size}")
        assert picture.status_code == status
    broken = here.ask("GET", "/api/v1/images", params={"run": night, "state": "quarantined"}).json()["images"]
    instead = here.ask("GET", f"/api/v1/images/{broken[0]['id']}/thumbnail")
    assert (instead.status_code, instead.headers["x-placeholder"]) == (200, "1")
    assert instead.content[8:12] == b"WEBP"


def test_a_browser_keeps_pictures(here: Site, night: int) -> None:
    """A thumbnail or heat map that a browser has already is not sent again; a placeholder is never kept."""
    found = here.ask("GET", "/api/v1/images", params={"run": night, "state": "classified"}).json()["images"]
    for path in ("thumbnail?size=48", "heatmap?size=48"):
        address = f"/api/v1/images/{found[0]['id']}/{path}"
        first = here.ask("GET", address)
        assert (first.status_code, first.headers["cache-control"]) == (200, "private, max-age=60")
        again = here.ask("GET", address, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
        assert here.ask("GET", address, headers={"If-None-Match": '"another"'}).content == first.content
        assert (
            here.ask("GET", address, token="", headers={"If-None-Match": first.headers["etag"]}).status_code
            == 401
        )
    broken = here.ask("GET", "/api/v1/images", params={"run": night, "state": "quarantined"}).json()["images"]
    instead = here.ask("GET", f"/api/v1/images/{broken[0]['id']}/thumbnail")
    assert instead.headers["cache-control"] == "no-store"
    assert "etag" not in instead.headers


def test_a_prediction_is_explained(here: Site, night: int) -> None:
    """A map over the whole image, a picture of it, and three other images; 404 without a prediction."""
    found = here.ask("GET", "/api/v1/images", params={"run": night, "state": "classified"}).json()["images"]
    image = found[0]["id"]
    told = here.ask("GET", f"/api/v1/images/{image}/explanation").json()
    assert len(told["heat"]) == len(told["heat"][0]) == 8
    assert len({each["id"] for each in told["similar"]} - {image}) == 3
    assert all(each["run"] <= night for each in told["similar"])
    picture = here.ask("GET", f"/api/v1/images/{image}/heatmap?size=64")
    assert picture.content[8:12] == b"WEBP"
    broken = here.ask("GET", "/api/v1/images", params={"run": night, "state": "quarantined"}).json()["images"]
    for path in (f"{broken[0]['id']}/explanation", f"{broken[0]['id']}/heatmap", "999999/explanation"):
        assert here.ask("GET", f"/api/v1/images/{path}").status_code == 404


def test_requests_with_the_same_key_are_one_job(here: Site, night: int) -> None:
    """A retry that is sent twice with one key is one job; the key cannot be used for another retry."""
    headers = {"Idempotency-Key": "again"}
    jobs = [here.ask("POST", f"/api/v1/retries?run={night}", headers=headers) for _ in range(2)]
    assert [job.status_code for job in jobs] == [202, 202]
    assert jobs[0].json()["id"] == jobs[1].json()["id"]
    assert here.ask("POST", "/api/v1/retries", headers=headers).status_code == 409


@pytest.mark.usefixtures("night")
def test_a_failed_job_can_be_retried(here: Site) -> None:
    """After the retry it waits, runs and is done: the first error does not show again."""
    incoming = here.home.settings.incoming_dir
    aside = incoming.rename(incoming.with_name("aside"))
    job = here.ask("POST", "/api/v1/scans").json()
    path = f"/api/v1/jobs/{job['id']}"
    until(lambda: here.ask("GET", path).json()["state"] == "failed", what="the job fails")
    assert "does not exist" in here.ask("GET", path).json()["error"]
    aside.rename(incoming)
    states = [here.ask("POST", f"{path}/retry").json()["state"]]
    while states[-1] in {"waiting", "running"}:
        states.append(here.ask("GET", path).json()["state"])
    assert states[-1] == "done", states
    assert here.ask("POST", f"{path}/retry").status_code == 409


def test_each_role_may_do_only_its_part(here: Site) -> None:
    """No token, a wrong one and a revoked one are 401; what a role may not do is 403."""
    from returns_pipeline.store import access

    viewer, reviewer = here.token_for(Role.VIEWER), here.token_for(Role.REVIEWER)
    assert here.ask("GET", "/api/v1/runs", token="").status_code == 401
    assert here.ask("GET", "/api/v1/runs", token="no such").status_code == 401  # noqa: S106
    assert here.ask("GET", "/api/v1/runs", token=viewer).status_code == 200
    assert here.ask("POST", "/api/v1/reviews/next", token=viewer).status_code == 403
    assert here.ask("POST", "/api/v1/reviews", token=viewer, json={"reviews": []}).status_code == 403
    assert here.ask("POST", "/api/v1/reviews/next", token=reviewer).status_code == 200
    assert here.ask("POST", "/api/v1/scans", token=reviewer).status_code == 403
    access.revoke_token(here.home.database, viewer[:12])
    assert here.ask("GET", "/api/v1/runs", token=viewer).status_code == 401


def test_metrics_are_those_of_the_runs(here: Site, night: int) -> None:
    """Closed runs are counted by state and label; workers and the active model are gauges."""
    found = dict(
        line.rsplit(" ", 1)
        for line in here.ask("GET", "/metrics").text.splitlines()
        if line and not line.startswith("#")
    )
    run = here.ask("GET", f"/api/v1/runs/{night}").json()
    assert float(found['returns_images_total{state="quarantined"}']) >= run["quarantined"] == 2
    assert float(found['returns_images_total{state="classified"}']) >= run["classified"] == 298
    assert sum(float(found[f'returns_labels_total{{label="{label}"}}']) for label in LABELS) >= 298
    assert float(found['returns_stage_seconds_total{stage="predict"}']) > 0
    assert found['returns_workers{queue="interactive"}'] == "1.0"
    assert found['returns_model_active{name="stub",version="1"}'] == "1.0"


def test_health_needs_no_token(here: Site) -> None:
    """Monitoring gets the state of every part without a token."""
    assert here.ask("GET", "/healthz", token="").json() == {"status": "ok"}
    assert here.ask("GET", "/readyz", token="").json() == {
        "database": "ok",
        "broker": "ok",
        "worker": "ok",
    }


def test_the_description_names_the_idempotency_key(here: Site) -> None:
    """Both classic requests declare it, so that generated clients can send it."""
    paths = here.ask("GET", "/openapi.json").json()["paths"]
    for path in ("/process_batch", "/predict"):
        named = {each["name"]: each["in"] for each in paths[path]["post"]["parameters"]}
        assert named["Idempotency-Key"] == "header"


def test_what_a_scan_left_is_in_the_run_and_on_its_pages(here: Site) -> None:
    """The counts are in the run's JSON, and in plain words on its page and on the first page."""
    left = {"still_changing": 5, "skipped": 1200, "unreadable_folders": 1}
    before = {"still_changing": 0, "skipped": 0, "unreadable_folders": 0}
    (here.home.settings.incoming_dir / "Thumbs.db").write_bytes(b"x")
    run_id = closed_run(here, 1, 7000)
    path = f"/api/v1/runs/{run_id}"
    assert here.ask("GET", path).json().items() >= (before | {"skipped": 1}).items()
    with here.home.database.write() as connection:
        nights = sa.update(tables.runs).where(tables.runs.c.id == run_id)
        connection.execute(nights.values(kind="nightly", **left))
    assert here.ask("GET", path).json().items() >= left.items()
    shown = here.home.json("runs", "show", str(run_id))
    assert shown.items() >= left.items()
    assert here.home.json("status")["last_night"] == shown
    sentences = (
        "5 files were still changing.",
        "1,200 other files or folders were skipped.",
        "1 folder could not be read.",
    )
    texts = [here.page("/").text, here.page(f"/runs/{run_id}").text, here.home.run("status").stdout]
    texts.append(here.home.run("runs", "show", str(run_id)).stdout)
    assert all(sentence in text for sentence in sentences for text in texts)


def test_an_alarm_about_the_intake_is_on_the_first_page(here: Site) -> None:
    """Status and page say that no photo ever arrived, without the server's folders on the page."""
    with here.home.database.write() as connection:
        connection.execute(sa.update(tables.runs).values(intake="/elsewhere", state="closed"))
    closed_run(here, 0)
    page, found = here.page("/").text, here.home.json("status")["alarms"]
    assert "The folder incoming is empty, and no photo ever arrived there." in page
    assert [str(here.home.settings.incoming_dir) in alarm for alarm in found] == [True]
    assert "ALARM" in here.home.run("status").stdout


def test_settings_and_commands_are_only_for_operators(here: Site) -> None:
    """Of an alarm a clerk reads what it means and whom to tell; an operator also reads what to do."""
    with here.home.database.write() as connection:
        connection.execute(sa.update(tables.runs).values(intake="/elsewhere", state="closed"))
    closed_run(here, 0)
    html = {"Accept": "text/html"}
    for role in Role:
        page = here.ask("GET", "/", here.token_for(role), headers=html).text
        assert "no photo ever arrived there." in page
        is_clerk = role in {Role.VIEWER, Role.REVIEWER}
        assert ("RETURNS_INCOMING_DIR" in page, "Tell the operator" in page) == (not is_clerk, is_clerk)


def test_many_reviews_are_sent_in_one_request(here: Site, night: int) -> None:
    """Each image has its own result; one undo takes back all that were stored; 200 are the most."""
    listed = here.ask("GET", f"/api/v1/images?run={night}&state=classified&limit=3").json()["images"]
    one, two, three = ({"image": each["id"], "label": each["label"]} for each in listed)
    two["label"] = next(each for each in LABELS if each != two["label"])
    sent = [one, two, {"image": three["image"], "label": "Hat"}, {"image": 10**9, "outcome": "retake"}]
    done = here.ask("POST", "/api/v1/reviews", json={"reviews": sent}).json()
    assert [each["result"] for each in done["results"]] == ["accepted", "corrected", "refused", "refused"]
    assert [each["error"] for each in done["results"]][2:] == [
        "stub/1 has no label 'Hat'.",
        "There is no image 1000000000.",
    ]
    taken_back = here.ask("POST", "/api/v1/reviews/undo/last").json()["images"]
    assert sorted(taken_back) == sorted([one["image"], two["image"]])
    for wrong in ([], [one] * 201, [{"label": "dark"}], [one | {"who": "me"}]):
        assert here.ask("POST", "/api/v1/reviews", json={"reviews": wrong}).status_code == 422
    refused = here.ask("POST", "/api/v1/reviews", json={"reviews": [one | {"who": "me"}]}).json()
    assert refused["error"] == "There is no field `who` in this request."
    assert "replaces" in refused["advice"]


def test_the_next_image_to_review_is_of_a_scope(here: Site, night: int) -> None:
    """The parameters of the review page narrow the queue here too; a wrong value is refused."""
    item = here.ask("POST", f"/api/v1/reviews/next?run={night}").json()["item"]
    assert item["run"] == night
    scope = f"run={night}&label={item['label']}&kind={item['kind']}"
    again = here.ask("POST", f"/api/v1/reviews/next?{scope}").json()["item"]
    assert again["image"] == item["image"]
    assert here.ask("POST", f"/api/v1/reviews/next?run={night}&date=1999-12-31").json()["item"] is None
    for wrong in ("run=0", "kind=unknown", "date=yesterday", "date=9999-12-31", "labels=dark"):
        assert here.ask("POST", f"/api/v1/reviews/next?{wrong}").status_code == 422, wrong


@pytest.mark.usefixtures("night")
def test_how_often_the_model_is_right_is_told(here: Site) -> None:
    """The estimate of REST, of the metrics and of the pages is the same; its categories add up."""
    answer = here.ask("GET", "/api/v1/models/stub/accuracy").json()
    version = max(answer["versions"], key=lambda each: int(each["recent"]["photos"]))
    found = version["recent"]
    assert found["photos"] == sum(each["photos"] for each in version["categories"]) >= 298
    assert 0 <= found["low"] < found["high"] <= 1
    assert found["more"] > 0
    series = f'returns_accuracy_high{{intake="{version["intake"] or ""}",name="stub",version="1"}}'
    (line,) = (each for each in here.ask("GET", "/metrics").text.splitlines() if each.startswith(series))
    assert float(line.rpartition(" ")[2]) == pytest.approx(found["high"], abs=1e-5)
    assert f"{found['more']} more photos must be reviewed for ±2 %" in here.page("/models").text
    assert "Right labels: " in here.page("/").text
    assert here.ask("GET", "/api/v1/models/nothing/accuracy").status_code == 404


def test_the_page_of_a_night_shows_photos_of_each_change(here: Site, night: int) -> None:
    """Each sentence stands above photos of that night; a night without a change says so; no night is 404."""
    assert "Nothing is unusual" in here.page(f"/nights/{night}").text
    listed = here.ask("GET", f"/api/v1/images?run={night}&label=white&limit=12").json()["images"]
    change = {"property": "category", "bin": "white", "share": 0.25, "usual": 0.125, "chance": 1e-9}
    with here.home.database.write() as connection:
        connection.execute(
            sa.insert(tables.run_changes).values(
                run_id=night, is_new=True, examples=[each["id"] for each in listed], **change
            )
        )
    page = here.page(f"/nights/{night}").text
    assert "Category white: 25.0% of the photos, usually 12.5%." in page
    assert len(re.findall(r"_label_3\.png", page.replace("<wbr>", ""))) >= 12
    assert page.count("/thumbnail") == 12
    for wrong in (f"/nights/{10**6}", "/nights/0", "/nights/x"):
        assert here.page(wrong).status_code in {404, 422}


def test_a_run_without_rows_offers_no_empty_lists(here: Site) -> None:
    """When the rows of a run were removed, its pages say so; a list is refused, not empty."""
    run = closed_run(here, 2, start=70_000)
    with here.home.database.write() as connection:
        this = tables.runs.c.id == run
        connection.execute(sa.update(tables.runs).where(this).values(rows_removed_at=datetime.now(UTC)))
    for path in (f"/runs/{run}", f"/runs/{run}/report"):
        text = here.page(path).text
        assert "were removed because they are old" in text
        assert "/export" not in text
    refused = here.ask("GET", f"/api/v1/runs/{run}/export")
    assert (refused.status_code, "because they are old" in refused.json()["error"]) == (404, True)
