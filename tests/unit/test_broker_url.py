"""RETURNS_BROKER_URL: what Celery gets for each form, and which ones are refused."""

import ssl
from pathlib import Path

import pytest

from returns_pipeline.broker.app import make_app
from returns_pipeline.errors import ConfigFault
from returns_pipeline.settings import load_settings
from returns_pipeline.settings.broker_url import parse_broker_url

SECRET = "hush-hush"  # noqa: S105 - of no real server


@pytest.mark.parametrize(
    ("url", "sentinels"),
    [
        ("sentinel://a:1;sentinel://b:2", "sentinel://a:1/0;sentinel://b:2/0"),
        ("sentinel://a:1;b:2;c", "sentinel://a:1/0;sentinel://b:2/0;sentinel://c:26379/0"),
        ("sentinel://a:1;sentinel://b:2/3", "sentinel://a:1/3;sentinel://b:2/3"),
        ("sentinel://u:p%3Bq@a:1;sentinel://b:2", "sentinel://u:p%3Bq@a:1/0;sentinel://u:p%3Bq@b:2/0"),
        ("sentinel://:p@[::1]:1/0", "sentinel://:p@[::1]:1/0"),
    ],
)
def test_every_sentinel_has_the_login_and_the_database(url: str, sentinels: str) -> None:
    """Celery takes them from the first Sentinel, whichever has them in the setting."""
    broker = parse_broker_url(f"{url}?master_name=m&sentinel_password={SECRET}")
    assert broker.url == sentinels
    assert broker.tls is None
    assert broker.options["master_name"] == "m"
    assert broker.options["sentinel_kwargs"]["password"] == SECRET
    assert "ssl" not in broker.options["sentinel_kwargs"]


def test_tls_checks_the_broker_unless_told_otherwise(tmp_path: Path) -> None:
    """Without parameters the broker's certificate and name are checked against the system's authorities."""
    strict = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True}
    assert parse_broker_url("rediss://h").tls == strict
    assert parse_broker_url("rediss://h?ssl_cert_reqs=CERT_REQUIRED").tls == strict
    loose = {"ssl_cert_reqs": ssl.CERT_NONE, "ssl_check_hostname": False}
    assert parse_broker_url("rediss://h?ssl_cert_reqs=none").tls == loose
    assert parse_broker_url("rediss://h?ssl_check_hostname=false").tls == strict | {
        "ssl_check_hostname": False
    }
    authority = tmp_path / "ca.pem"
    authority.touch()
    assert parse_broker_url(f"rediss://h?ssl_ca_certs={authority}").tls == strict | {
        "ssl_ca_certs": str(authority)
    }


def test_sentinels_with_tls_are_asked_with_tls_too(tmp_path: Path) -> None:
    """Celery gets the same certificates for messages, results and Sentinels."""
    authority = tmp_path / "ca.pem"
    authority.touch()
    url = f"sentinel://:{SECRET}@h:1?ssl_ca_certs={authority}"
    conf = make_app(load_settings(home=tmp_path, broker_url=url)).conf
    assert conf.broker_use_ssl == conf.redis_backend_use_ssl
    assert conf.broker_use_ssl["ssl_ca_certs"] == str(authority)
    for options in (conf.broker_transport_options, conf.result_backend_transport_options):
        assert options["master_name"] == "mymaster"
        assert options["sentinel_kwargs"]["ssl"] is True
        assert options["sentinel_kwargs"]["ssl_ca_certs"] == str(authority)


@pytest.mark.parametrize(
    ("rest", "right"),
    [
        ("rediss://:{secret}@h/0?ssl_ca_cert=x", "ssl_ca_certs, ssl_certfile, ssl_keyfile"),
        ("redis://:{secret}@h/0?ssl_ca_certs=x", "TLS needs rediss://"),
        ("rediss://:{secret}@h/0?ssl_ca_certs=/missing.pem", "/missing.pem: No such file"),
        ("rediss://:{secret}@h/0?ssl_cert_reqs=maybe", "required, optional or none"),
        ("rediss://:{secret}@h/0?ssl_check_hostname=maybe", "true or false"),
        ("rediss://:{secret}@h/0?ssl_keyfile=pyproject.toml", "ssl_certfile too"),
        ("redis://:{secret}@h:port/0", "port that is a number"),
        ("redis://:{secret}@a;redis://b", "only if all are sentinel://"),
        ("sentinel://:{secret}@a;sentinel://:other@b", "same user, password and database"),
        ("sentinel://a/1;sentinel://:{secret}@b/2", "same user, password and database"),
        ("sentinel://a?master_name=x;sentinel://:{secret}@b?master_name=y", "one value of master_name"),
        ("sentinel://:{secret}@", "a host for every Sentinel"),
        ("sentinels://:{secret}@h", "or sentinel://"),
    ],
)
def test_a_wrong_address_is_refused_without_its_secret(rest: str, right: str) -> None:
    """The refusal names the setting and what it should have, never the password."""
    with pytest.raises(ConfigFault) as found:
        load_settings(broker_url=rest.format(secret=SECRET))
    assert "RETURNS_BROKER_URL" in found.value.message
    assert right in found.value.message
    assert SECRET not in str(found.value)
