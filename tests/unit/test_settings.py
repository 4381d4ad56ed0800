"""The settings refuse wrong values, derive missing ones, and show no secret."""

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from returns_pipeline.errors import ConfigFault
from returns_pipeline.settings import (
    PREFIX,
    PROJECT_ROOT,
    SHIPPED,
    Settings,
    environment_of,
    load_settings,
    settings_of_home,
)
from returns_pipeline.store.database import Database

SECRET = "s3cr3t-Pa55"  # noqa: S105 - must never be shown


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Provide an empty working directory and an environment without settings."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(**overrides: Any) -> str:
    """Return the message and the advice of the refusal of these settings."""
    with pytest.raises(ConfigFault) as caught:
        load_settings(**overrides)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("CHUNK_SIZE", "-1", "greater than or equal to 0"),
        ("CHUNK_SIZE", "many", "valid integer"),
        ("SCAN_HOUR", "24", "less than or equal to 23"),
        ("REVIEW_THRESHOLD", "1.5", "less than or equal to 1"),
        ("REVIEW_THRESHOLD", "nan", "less than or equal to 1"),
        ("REVIEW_THRESHOLD", "often", "greater than or equal to 0"),
        ("REVIEW_THRESHOLD", "precision:98", "like precision:0.98"),
        ("REVIEW_THRESHOLD", "precision:0", "like precision:0.98"),
        ("REVIEW_THRESHOLD", "recall:0.9", "like precision:0.98"),
        ("LEASE_SECONDS", "0", "greater than 0"),
        ("LOG_FORMAT", "xml", "'console' or 'json'"),
        ("SKIP_PATTERNS", "@eaDir/*", "without a slash"),
        ("SKIP_PATTERNS", "*.xmp,*", "skips every photo"),
        ("TIMEZONE", "Berlin", "IANA time zone, like Europe/Berlin"),
        ("TIMEZONE", "../etc/passwd", "IANA time zone, like Europe/Berlin"),
        ("LOG_LEVEL", "info", "'INFO'"),
        ("CODES", "qr,bars", "names of formats, separated by commas: qr, datamatrix"),
        ("CODE_PATTERN", "(RMA-[0-9", "in RE2's syntax: missing ]"),
        ("CODE_PATTERN", "RMA-[0-9]{8}", "should have one group"),
        ("FILE_PATTERN", r"(?<![0-9])([0-9]{8})", "in RE2's syntax: invalid perl operator: (?<!"),
        ("CODE_PATTERN", "(RMA)-([0-9]{8})", "should have one group"),
        ("CODE_PATTERN", "(" * 400, "in RE2's syntax"),
        ("CODE_PATTERN", "(a{9999})", "in RE2's syntax"),
        ("CODE_PATTERN", "(" + "a" * 500 + ")", "at most 500 characters"),
    ],
)
def test_a_wrong_value_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str, right: str) -> None:
    """The refusal names the setting, its value, and the allowed values."""
    monkeypatch.setenv(PREFIX + name, value)
    message = refusal()
    assert f"{PREFIX}{name}={value!r}" in message
    assert right in message


@pytest.mark.parametrize(
    "value",
    [
        *(
            "*",
            "10.0.0.1,*",
            " * ",
            "0.0.0.0/0",
            "::/0",
            "0.0.0.0/0.0.0.0",
            "0.0.0.0/1,128.0.0.0/1",
            "0.0.0.0",  # noqa: S104 - the test needs it
        ),
        *("::", "2000::/3", "::ffff:0:0/96", "10.0.0.1,::ffff:0.0.0.0/97,::ffff:128.0.0.0/97"),
        ",".join(f"{first}.0.0.0/8" for first in range(1, 255)),
    ],
)
def test_everyone_as_a_proxy_is_refused(value: str) -> None:
    """However it is written: each client could state the address for which its log-ins are counted."""
    assert "only the proxies' own addresses" in refusal(web_proxies=value)


@pytest.mark.parametrize("value", ["proxy", "localhost", "10.0.0.5/8", "0/0", "10.0.0.0-10.0.0.9"])
def test_a_proxy_is_an_address_or_a_network(value: str) -> None:
    """The server compares addresses, so a name would never fit."""
    assert "like 10.0.0.0/24" in refusal(web_proxies=value)


def test_proxies_may_be_any_private_network() -> None:
    """Spaces and empty parts do not matter."""
    value = "10.0.0.0/8, 172.16.0.0/12,192.168.0.0/16,,127.0.0.1, ::1,fc00::/7,2400:cb00::/32,"
    expected = value.replace(" ", "").replace(",,", ",").rstrip(",")
    assert load_settings(web_proxies=value).web_proxies == expected
    assert load_settings(web_proxies="").web_proxies == ""


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("DATABASE_URL", "mysql://host/returns", "postgresql://"),
        ("BROKER_URL", "amqp://host", "redis://"),
    ],
)
def test_a_wrong_url_is_refused_by_its_scheme(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, right: str
) -> None:
    """The refusal of a URL shows only its scheme, which was wrong."""
    monkeypatch.setenv(PREFIX + name, value)
    message = refusal()
    assert f"{PREFIX}{name}='{value.partition('://')[0]}://***'" in message
    assert right in message


def test_all_wrong_values_are_named_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """One start reports every wrong setting."""
    monkeypatch.setenv("RETURNS_CHUNK_SIZE", "-1")
    monkeypatch.setenv("RETURNS_SCAN_HOUR", "24")
    message = refusal()
    assert "RETURNS_CHUNK_SIZE" in message
    assert "RETURNS_SCAN_HOUR" in message


def test_an_unknown_variable_is_refused_with_a_suggestion(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt setting stops the program, so that it is not silently ignored."""
    monkeypatch.setenv("RETURNS_CHUNKSIZE", "64")
    assert "RETURNS_CHUNKSIZE is not a setting (did you mean RETURNS_CHUNK_SIZE?)" in refusal()


@pytest.mark.parametrize("line", ["RETURNS_CHUNKSIZE=64", "RETURNS_CHUNKSIZE="])
def test_an_unknown_line_of_the_file_is_refused_with_a_suggestion(folder: Path, line: str) -> None:
    """An unknown name in `.env` is refused like one in the environment, even without a value."""
    (folder / ".env").write_text(line)
    assert "RETURNS_CHUNKSIZE is not a setting (did you mean RETURNS_CHUNK_SIZE?)" in refusal()


def test_lines_of_compose_are_left_to_compose(folder: Path) -> None:
    """Docker Compose and the command line share one `.env`: names without the prefix are ignored."""
    (folder / ".env").write_text("POSTGRES_PASSWORD=x\nINTAKE_FOLDER=/in\nRETURNS_CHUNK_SIZE=64\n")
    assert load_settings().chunk_size == 64


def test_the_example_can_be_copied_unchanged(folder: Path) -> None:
    """An unchanged copy of `.env.example` sets nothing."""
    before = load_settings()
    (folder / ".env").write_text((PROJECT_ROOT / ".env.example").read_text(encoding="utf-8"))
    assert load_settings() == before


def test_an_unknown_argument_is_refused() -> None:
    """Python callers get the same refusal."""
    assert "RETURNS_CHUNKSIZE is not a setting" in refusal(chunksize=64)


def test_the_order_of_sources(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Precedence: argument, environment, `.env`, default."""
    assert load_settings().chunk_size == Settings.model_fields["chunk_size"].default
    (folder / ".env").write_text("RETURNS_CHUNK_SIZE=2")
    assert load_settings().chunk_size == 2
    monkeypatch.setenv("RETURNS_CHUNK_SIZE", "3")
    assert load_settings().chunk_size == 3
    assert load_settings(chunk_size=4).chunk_size == 4


def test_an_empty_value_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting with an empty value, which Compose passes on, keeps its default."""
    before = load_settings()
    for name in Settings.model_fields:
        monkeypatch.setenv(PREFIX + name.upper(), "")
    assert load_settings() == before


@pytest.mark.parametrize("inner", ["archive_dir", "quarantine_dir", "report_dir"])
@pytest.mark.parametrize("place", ["in", "in/deep/er", "other/../in/archive", "link/archive"])
def test_a_folder_inside_the_intake_is_refused(folder: Path, inner: str, place: str) -> None:
    """A file that left the intake is never scanned again, whatever path its folder was set to."""
    (folder / "in").mkdir()
    (folder / "link").symlink_to("in")
    message = refusal(incoming_dir=folder / "in", **{inner: folder / place})
    assert f"RETURNS_{inner.upper()} lies inside RETURNS_INCOMING_DIR" in message


def test_a_folder_beside_the_intake_is_accepted(folder: Path) -> None:
    """A folder whose name begins with the intake's name is outside of it."""
    assert load_settings(incoming_dir=folder / "in", archive_dir=folder / "in-archive")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "flower.example"])  # noqa: S104 - the test needs it
def test_flower_without_a_password_stays_on_this_machine(host: str) -> None:
    """An address that other machines can reach is refused unless a password is set."""
    message = refusal(flower_host=host)
    assert f"RETURNS_FLOWER_HOST={host}" in message
    assert "set RETURNS_FLOWER_PASSWORD" in message
    assert load_settings(flower_host=host, flower_password=SECRET).flower_host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_flower_on_this_machine_needs_no_password(host: str) -> None:
    """Flower on a loopback address needs no password."""
    assert load_settings(flower_host=host).flower_host == host


@pytest.mark.parametrize("home", ["", "relative", "../outside", "/absolute/home"])
def test_derived_paths_lie_inside_home(monkeypatch: pytest.MonkeyPatch, folder: Path, home: str) -> None:
    """A relative HOME becomes absolute, and all folders that are not set are inside it."""
    monkeypatch.setenv("RETURNS_HOME", home)
    settings = load_settings()
    assert settings.home == folder / (home or "var")
    for path in (settings.incoming_dir, settings.archive_dir, settings.quarantine_dir, settings.report_dir):
        assert path.is_absolute()
        assert path.parent == settings.home
    assert settings.database_url == f"sqlite:///{settings.home}/returns.sqlite3"


def test_a_home_of_the_user_is_expanded(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """`~` is expanded in every path."""
    monkeypatch.setenv("HOME", str(folder / "user"))
    settings = load_settings(home="~/returns", archive_dir="~/archive")
    assert settings.home == folder / "user/returns"
    assert settings.archive_dir == folder / "user/archive"


def test_each_home_has_its_own_embedded_broker(folder: Path) -> None:
    """Two homes on one machine never share a Redis, and each home always gets the same one."""
    one, other = load_settings(home=folder / "one"), load_settings(home=folder / "other")
    assert one.broker_url != other.broker_url
    assert one.broker_url == load_settings(home=folder / "one").broker_url


@pytest.mark.parametrize("name", ["a?b", "a%20b", "a b", "a#b", "a%3Fb", "100%", "Größe"])
def test_the_database_of_a_home_lies_in_it_whatever_its_name(folder: Path, name: str) -> None:
    """The default SQLite file is in HOME, whatever characters its path contains."""
    home = folder / name
    database = Database(load_settings(home=home).database_url)
    database.upgrade()
    database.close()
    assert [path.name for path in folder.iterdir()] == [name]
    assert (home / "returns.sqlite3").is_file()


def test_another_process_gets_the_same_settings(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """`environment_of` passes every setting, including secrets, to a process in another folder."""
    settings = load_settings(home="here", chunk_size=7, flower_password=SECRET, timezone="Europe/Berlin")
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    for name, value in environment_of(settings).items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


def test_settings_cannot_be_changed() -> None:
    """Settings that were validated cannot change later."""
    with pytest.raises(ValidationError):
        load_settings().chunk_size = 1  # type: ignore[misc]  # the assignment must fail


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", f"postgresql://user:{SECRET}@host/db"),
        ("DATABASE_URL", f"postgresql://host/db?user=u&password={SECRET}"),
        ("BROKER_URL", f"redis://:{SECRET}@host:6379/0"),
        ("FLOWER_PASSWORD", SECRET),
    ],
)
def test_no_secret_is_in_the_repr(name: str, value: str) -> None:
    """Settings can be logged without showing a secret."""
    settings = load_settings(**{name.lower(): value})
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)
    assert SECRET in environment_of(settings)[PREFIX + name]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", f"mysql://user:{SECRET}@host/db"),
        ("DATABASE_URL", f"postgres:user:{SECRET}@host/db"),
        ("DATABASE_URL", f"postgres://host/db?password={SECRET}"),
        ("DATABASE_URL", SECRET),
        ("BROKER_URL", f"amqp://:{SECRET}@host"),
        ("BROKER_URL", f"{SECRET}@redis://host"),
        ("FLOWER_PASWORD", SECRET),
        ("FLOWER_PASSWORD_FILE", SECRET),
    ],
)
@pytest.mark.parametrize("place", ["environment", "file"])
def test_no_secret_is_in_a_refusal(
    monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, value: str, place: str
) -> None:
    """The refusal of a wrong URL or a misspelt password shows the name, not the value."""
    if place == "file":
        (folder / ".env").write_text(f"{PREFIX}{name}={value}")
    else:
        monkeypatch.setenv(PREFIX + name, value)
    message = refusal()
    assert PREFIX + name in message
    assert SECRET not in message
    if place == "file":
        with pytest.raises(ValidationError) as caught:
            Settings()
        assert SECRET not in str(caught.value)


def test_a_fault_elsewhere_shows_no_secret() -> None:
    """The refusal of a wrong setting does not show the secrets of other settings."""
    url = f"postgresql://user:{SECRET}@host/db"
    message = refusal(
        database_url=url, flower_password=SECRET, chunk_size=-1, incoming_dir="/a", archive_dir="/a"
    )
    assert "RETURNS_CHUNK_SIZE" in message
    assert SECRET not in message
    assert SECRET not in refusal(
        database_url=url, flower_password=SECRET, incoming_dir="/a", archive_dir="/a"
    )


def test_codes_are_read_from_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Formats are named in any case, once each, and pass to another process as they are."""
    assert load_settings().codes == ()
    monkeypatch.setenv(f"{PREFIX}CODES", " QR, ean13 ,qr,")
    monkeypatch.setenv(f"{PREFIX}CODE_PATTERN", r"https://shop\.example/r/(RMA-[0-9]{8})")
    settings = load_settings()
    assert settings.codes == ("qr", "ean13")
    variables = environment_of(settings)
    assert variables[f"{PREFIX}CODES"] == "qr,ean13"
    assert variables[f"{PREFIX}CODE_PATTERN"] == r"https://shop\.example/r/(RMA-[0-9]{8})"


@pytest.mark.parametrize("name", ["MODELS_DIR", "MODELS_STORE"])
def test_a_home_of_its_own_has_no_place_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Neither pictures of products nor a store of models: what is registered there is published nowhere."""
    monkeypatch.setenv(f"{PREFIX}CATALOGUE_DIR", "s3://returns/catalogue")
    monkeypatch.setenv(f"{PREFIX}{name}", "s3://returns/models")
    found = settings_of_home(tmp_path)
    assert found.catalogue_dir == tmp_path / "catalogue"
    assert (found.models_store, found.models_dir) == ("", SHIPPED / "models")
    chosen = settings_of_home(tmp_path, models_dir="s3://other/models", catalogue_dir="s3://other/shop")
    assert (chosen.models_store, str(chosen.catalogue_dir)) == ("s3://other/models", "s3://other/shop")
