"""Users, roles and tokens: who may change them, and who stays able to."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from argon2 import PasswordHasher

from returns_pipeline.errors import ConflictError, NotFoundError
from returns_pipeline.records.access import Role
from returns_pipeline.records.audit import AuditAction, AuditFilter
from returns_pipeline.store import access, audit
from returns_pipeline.store.tables import users
from returns_pipeline.web.security.access import digest
from tests.support import Installation
from tests.web import Site, site

PASSWORD = "correct horse"  # noqa: S105 - of a home that lives as long as this test
#: Its costs are in it: it is checked quickly.
_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
_SECRET = re.compile(r'class="secret">([^<]+)<')


def actions(home: Installation, **wanted: Any) -> list[tuple[str, str, str]]:
    """Return who did what to which thing, newest first."""
    found = audit.page(home.database, AuditFilter(**wanted), None, 1000)
    return [(event.who, event.action, event.subject_id) for event in found]


def test_an_older_program_takes_an_admin_for_an_operator(home: Installation) -> None:
    """The column `role` never says admin; a role that an older program lowers is lowered."""
    db = home.database
    for role in Role:
        access.add_user(db, f"a {role}", _HASH, role, by="ann")
    assert {user.name: user.role for user in access.all_users(db)} == {f"a {role}": role for role in Role}
    with db.read() as connection:
        rows = connection.execute(sa.select(users)).all()
    assert sorted(row.role for row in rows) == ["operator", "operator", "reviewer", "viewer"]
    with db.write() as connection:
        connection.execute(sa.update(users).where(users.c.name == "a admin").values(role=Role.VIEWER))
    found = access.user(db, "a admin")
    assert found is not None
    assert found[0].role is Role.VIEWER


def test_one_admin_always_stays(home: Installation) -> None:
    """Two admins who demote each other at the same moment: one of them succeeds."""
    db = home.database
    for name in ("ann", "bob"):
        access.add_user(db, name, _HASH, Role.ADMIN)
    access.add_user(db, "old", _HASH, Role.ADMIN)
    access.change_user(db, "old", is_disabled=True)

    def demote(name: str) -> bool:
        with suppress(ConflictError):
            access.change_user(db, name, role=Role.OPERATOR, keep_admin=True)
            return True
        return False

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(demote, ("ann", "bob"))) == [False, True]
    (left,) = (user.name for user in access.all_users(db) if user.role is Role.ADMIN and not user.ended_at)
    with pytest.raises(ConflictError, match="is the only admin"):
        access.change_user(db, left, is_disabled=True, keep_admin=True)
    # The command line may.
    access.change_user(db, left, is_disabled=True)


def test_the_tokens_of_a_person_follow_the_person(home: Installation) -> None:
    """A token has at most the role of its owner, and none while the owner is disabled."""
    db = home.database
    access.add_user(db, "ann", _HASH, Role.OPERATOR)
    access.add_token(db, "ann/till", "1" * 64, Role.REVIEWER, owner="ann")
    access.add_token(db, "ann/all", "2" * 64, Role.OPERATOR, owner="ann")
    access.add_token(db, "till", "3" * 64, Role.ADMIN)

    def roles() -> list[Role | None]:
        found = [access.token(db, str(number) * 64) for number in (1, 2, 3)]
        return [token.role if token else None for token in found]

    assert roles() == [Role.REVIEWER, Role.OPERATOR, Role.ADMIN]
    access.change_user(db, "ann", role=Role.VIEWER)
    assert roles() == [Role.VIEWER, Role.VIEWER, Role.ADMIN]
    access.change_user(db, "ann", role=Role.ADMIN)
    assert roles() == [Role.REVIEWER, Role.OPERATOR, Role.ADMIN]
    access.change_user(db, "ann", is_disabled=True)
    assert roles() == [None, None, Role.ADMIN]
    access.change_user(db, "ann", is_disabled=False)
    assert roles() == [Role.REVIEWER, Role.OPERATOR, Role.ADMIN]
    with pytest.raises(NotFoundError):
        access.revoke_token(db, "till", owner="ann")
    with pytest.raises(NotFoundError):
        access.revoke_token(db, "ann/all", owner="bob")
    access.revoke_token(db, "ann/all", by="ann", owner="ann")
    assert [token.name for token in access.all_tokens(db, "ann") if token.ended_at is None] == ["ann/till"]
    assert actions(home, who="ann") == [("ann", AuditAction.TOKEN_REVOKE, "ann/all")]


def test_a_change_and_its_event_are_one(home: Installation) -> None:
    """What is refused is not in the log; what changes nothing is not there either."""
    db = home.database
    access.add_user(db, "ann", _HASH, Role.VIEWER, by="root")
    with pytest.raises(ConflictError):
        access.add_user(db, "ann", _HASH, Role.VIEWER, by="root")
    with pytest.raises(NotFoundError):
        access.change_user(db, "bob", role=Role.VIEWER, by="root")
    access.change_user(db, "ann", role=Role.VIEWER, is_disabled=False, by="root")
    access.change_user(db, "ann", role=Role.OPERATOR, password_hash=_HASH, by="root")
    assert actions(home) == [
        ("root", AuditAction.USER_ROLE, "ann"),
        ("root", AuditAction.USER_PASSWORD, "ann"),
        ("root", AuditAction.USER_ADD, "ann"),
    ]
    assert _HASH not in str(audit.page(db, AuditFilter(), None, 10))


def test_the_command_line_makes_an_admin_and_is_in_the_log(sqlite_home: Installation) -> None:
    """An operator of before becomes an admin by a command, whose person is the one of the terminal."""
    access.add_user(sqlite_home.database, "ann", _HASH, Role.OPERATOR)
    assert "ann is an admin" in sqlite_home.run("users", "role", "ann", "admin").stdout
    (listed,) = sqlite_home.json("users", "list")
    assert (listed["name"], listed["role"]) == ("ann", "admin")
    sqlite_home.run("tokens", "add", "till", "--role", "admin")
    events = sqlite_home.json("audit", "list", "--since", "today")
    assert [event["action"] for event in events] == ["token_add", "user_role", "user_add"]
    assert events[0]["who"] == events[1]["who"] != ""
    (only,) = sqlite_home.json("audit", "list", "--action", "user_role", "--by", events[0]["who"])
    assert only["detail"] == {"role": "admin", "before": "operator"}
    assert "role changed" in sqlite_home.run("audit", "list").stdout


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give the web alone, with a user of each role."""
    with site(tmp_path_factory.mktemp("site"), with_workers=False) as running:
        for role in Role:
            access.add_user(running.home.database, role, _HASH, role)
        yield running


class Visitor:
    """A browser: a session, and the token of its forms."""

    def __init__(self, here: Site, name: str, password: str = PASSWORD) -> None:
        """Log in."""
        self._url, self._client = here.url, requests.Session()
        self._client.headers["Accept"] = "text/html"
        self._csrf = ""
        self.log_in = self.send("/login", name=name, password=password)
        found = re.search(r'name="csrf" value="([^"]+)"', self.get("/account").text)
        self._csrf = found[1] if found else ""

    def get(self, path: str) -> requests.Response:
        """Open a page; a redirect is not followed."""
        return self._client.get(self._url + path, timeout=60, allow_redirects=False)

    def send(self, path: str, **fields: str) -> requests.Response:
        """Send a form; a redirect is not followed."""
        fields = {"csrf": self._csrf} | fields
        return self._client.post(self._url + path, data=fields, timeout=60, allow_redirects=False)


def secret(response: requests.Response) -> str:
    """Return what a page shows once."""
    assert response.headers["cache-control"] == "no-store"
    found = _SECRET.search(response.text)
    assert found, response.text
    return found[1]


#: What only an admin may do, with a pattern that its page or its response has.
_PAGES = ("/users", "/users/person?name=viewer", "/audit")
_FORMS = {
    "/users": {"name": "eve", "role": "admin"},
    "/users/tokens": {"name": "eve", "role": "admin"},
    "/users/tokens/revoke": {"name": "eve"},
    "/users/person/role": {"name": "viewer", "role": "admin"},
    "/users/person/state": {"name": "admin", "state": "disabled"},
    "/users/person/password": {"name": "admin"},
}


@pytest.mark.parametrize("role", [Role.VIEWER, Role.REVIEWER, Role.OPERATOR])
def test_only_admins_manage_users(here: Site, role: Role) -> None:
    """Each other role gets 403 on every page, form and request, and nothing changes."""
    before = access.all_users(here.home.database), len(access.all_tokens(here.home.database))
    visitor, token = Visitor(here, role), here.token_for(role)
    for path in _PAGES:
        assert visitor.get(path).status_code == 403, path
    for path, fields in _FORMS.items():
        assert visitor.send(path, **fields).status_code == 403, path
    for method, path in (
        ("GET", "/users"),
        ("POST", "/users"),
        ("PATCH", "/users/viewer"),
        ("GET", "/audit"),
        ("GET", "/audit/export"),
    ):
        body = {"name": "eve"} if method == "POST" else {"role": "admin"} if method == "PATCH" else None
        response = here.ask(method, f"/api/v1{path}", token=token, json=body)
        assert response.status_code == 403, (method, path)
    names = [user.name for user in access.all_users(here.home.database)]
    assert (names, len(access.all_tokens(here.home.database)) - 1) == (
        [user.name for user in before[0]],
        before[1],
    )


def test_a_form_of_another_site_changes_nothing(here: Site) -> None:
    """Every form of these pages needs the token of the session."""
    admin = Visitor(here, Role.ADMIN)
    own = {
        "/account/password": {"old": PASSWORD, "new": "another one", "again": "another one"},
        "/account/language": {"language": "de"},
        "/account/tokens": {"name": "eve", "role": "admin"},
        "/account/tokens/revoke": {"name": "eve"},
    }
    events = len(actions(here.home))
    for path, fields in (_FORMS | own).items():
        assert admin.send(path, **fields, csrf="forged").status_code == 403, path
    assert len(actions(here.home)) == events


def test_a_user_with_a_generated_password_must_choose_one(here: Site) -> None:
    """Nothing else is open before; afterwards the sessions with the generated password have ended."""
    admin = Visitor(here, Role.ADMIN)
    generated = secret(admin.send("/users", name="new", role="operator"))
    assert admin.send("/users", name="new", role="viewer").status_code == 409
    visitor, other = Visitor(here, "new", generated), Visitor(here, "new", generated)
    for path in ("/", "/runs", "/users"):
        assert visitor.get(path).headers["location"] == "/account"
    assert visitor.send("/upload/scan").headers["location"] == "/account"
    assert visitor.send("/account/tokens", name="a", role="viewer").headers["location"] == "/account"
    session = visitor._client.get(f"{here.url}/api/v1/runs", timeout=60)
    assert session.status_code == 403
    chosen = "my own words"
    for wrong in (
        {"old": "a guess", "new": chosen, "again": chosen},
        {"old": generated, "new": chosen, "again": "other"},
        {"old": generated, "new": "short", "again": "short"},
        {"old": generated, "new": generated, "again": generated},
    ):
        assert visitor.send("/account/password", **wrong).status_code == 400, wrong
    done = visitor.send("/account/password", old=generated, new=chosen, again=chosen)
    assert done.headers["location"] == "/"
    assert visitor.get("/runs").status_code == 200
    assert other.get("/runs").headers["location"].startswith("/login")
    assert Visitor(here, "new", generated).log_in.status_code == 401
    assert Visitor(here, "new", chosen).log_in.status_code == 303


def test_wrong_present_passwords_are_limited(here: Site) -> None:
    """Who finds an open session cannot guess its password; the refusal is one row of the log."""
    access.add_user(here.home.database, "guessed", _HASH, Role.VIEWER)
    visitor = Visitor(here, "guessed")
    guess = {"old": "a guess", "new": "another one", "again": "another one"}
    found = [visitor.send("/account/password", **guess).status_code for _ in range(12)]
    assert found == [400] * 10 + [429] * 2
    refused = [("guessed", AuditAction.LOG_IN_REFUSED, "guessed")]
    assert actions(here.home, who="guessed", action=AuditAction.LOG_IN_REFUSED) == refused


def test_a_person_has_a_language_and_tokens(here: Site) -> None:
    """A token acts as its person, with at most the person's role; only its person and admins revoke it."""
    reviewer, admin = Visitor(here, Role.REVIEWER), Visitor(here, Role.ADMIN)
    for sent, stored in (("de", "de"), ("xx", None), ("en", "en"), ("", None)):
        assert reviewer.send("/account/language", language=sent).status_code == 303
        found = access.user(here.home.database, Role.REVIEWER)
        assert found is not None
        assert found[0].language == stored
    assert reviewer.send("/account/tokens", name="till", role="operator").status_code == 403
    assert reviewer.send("/account/tokens", name="", role="viewer").status_code == 400
    token = secret(reviewer.send("/account/tokens", name="till", role="reviewer"))
    assert here.ask("GET", "/api/v1/runs", token=token).status_code == 200
    assert here.ask("POST", "/api/v1/scans", token=token).status_code == 403
    assert access.token(here.home.database, digest(token)) is not None
    assert Visitor(here, Role.VIEWER).send("/account/tokens/revoke", name="reviewer/till").status_code == 404
    assert admin.send("/users/person/state", name="reviewer", state="disabled").status_code == 200
    assert here.ask("GET", "/api/v1/runs", token=token).status_code == 401
    assert reviewer.get("/").headers["location"].startswith("/login")
    assert admin.send("/users/person/state", name="reviewer", state="active").status_code == 200
    assert here.ask("GET", "/api/v1/runs", token=token).status_code == 200
    assert admin.send("/users/tokens/revoke", name="reviewer/till").status_code == 303
    assert here.ask("GET", "/api/v1/runs", token=token).status_code == 401


def test_the_token_of_this_machine_has_no_account(here: Site) -> None:
    """Its page says so; its browser can manage users, but has no password to change."""
    with requests.Session() as client:
        client.get(f"{here.url}/?token={here.token}", timeout=60)
        text = client.get(f"{here.url}/account", timeout=60).text
        csrf = re.search(r'name="csrf" value="([^"]+)"', text)
        assert csrf is not None
        assert "has no password" in text
        assert client.get(f"{here.url}/users", timeout=60).status_code == 200
        form = {"csrf": csrf[1], "name": "a", "role": "viewer"}
        assert client.post(f"{here.url}/account/tokens", data=form, timeout=60).status_code == 403


def test_admins_manage_users_by_rest(here: Site) -> None:
    """Add with a given or a generated password, change, and the only admin stays."""
    added = here.ask("POST", "/api/v1/users", json={"name": "a/b", "role": "viewer"})
    assert added.status_code == 201
    assert added.json()["user"]["must_change_password"]
    assert Visitor(here, "a/b", added.json()["password"]).log_in.status_code == 303
    assert here.ask("POST", "/api/v1/users", json={"name": "a/b"}).status_code == 409
    assert here.ask("POST", "/api/v1/users", json={"name": "local"}).status_code == 400
    given = here.ask("POST", "/api/v1/users", json={"name": "given", "password": "long enough"}).json()
    assert (given["password"], given["user"]["role"]) == (None, "reviewer")
    assert here.ask("POST", "/api/v1/users", json={"name": "x", "password": "short"}).status_code == 400
    changed = here.ask("PATCH", "/api/v1/users/a%2Fb", json={"role": "operator", "disabled": True}).json()
    assert (changed["role"], changed["disabled_at"] is not None) == ("operator", True)
    assert here.ask("PATCH", "/api/v1/users/unknown", json={"disabled": True}).status_code == 404
    refused = here.ask("PATCH", "/api/v1/users/admin", json={"role": "operator"})
    assert refused.status_code == 409
    assert refused.json()["error"] == "admin is the only admin."
    names = [user["name"] for user in here.ask("GET", "/api/v1/users").json()["users"]]
    assert {"a/b", "given", "admin"} <= set(names)
