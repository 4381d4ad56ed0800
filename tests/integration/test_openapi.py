"""Every response is one that the OpenAPI document describes, and none is an internal error."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from returns_pipeline.settings import load_settings
from returns_pipeline.web.app import create_app
from tests.web import Site, closed_run, site

SCHEMA = schemathesis.openapi.from_dict(create_app(load_settings()).openapi())
# The event stream of a run is tested in the browser.
OPERATIONS = SCHEMA.exclude(path_regex="/events$")
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
QUICK = settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give a running installation with one closed run to all tests of this module."""
    with site(tmp_path_factory.mktemp("site"), audit_share=1.0, api_seconds=5) as running:
        closed_run(running, 20)
        yield running


@OPERATIONS.parametrize()
@QUICK
def test_no_response_is_undocumented(case: Case[Any], here: Site) -> None:
    """As an operator: right values, wrong ones and odd ones."""
    headers = {"Authorization": f"Bearer {here.token}"}
    case.call_and_validate(base_url=here.url, headers=headers, checks=CHECKS, timeout=120)


@OPERATIONS.parametrize()
@settings(QUICK, max_examples=2)
def test_no_request_succeeds_without_a_token(case: Case[Any], here: Site) -> None:
    """Without a token every path is refused, except health and metrics."""
    answer = case.call_and_validate(base_url=here.url, checks=CHECKS, timeout=120)
    if case.path not in {"/healthz", "/readyz", "/metrics"}:
        # A malformed request may be refused before its credentials are checked.
        assert answer.status_code in {400, 401, 404, 405, 413, 422}
