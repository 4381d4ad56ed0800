"""The documentation site builds strictly: a dead link or an undocumented public name ends the build."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from returns_pipeline.settings import PROJECT_ROOT

SOURCES = ("mkdocs.yml", "docs", "returns_pipeline", "CONTRIBUTING.md", "CHANGELOG.md")


def build(project: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of a checkout as `make docs` does. `--quiet` would hide the warnings from `--strict`."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)],
        cwd=project,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the built site of this checkout."""
    folder = tmp_path_factory.mktemp("site")
    done = build(PROJECT_ROOT, folder)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def test_the_site_has_a_page_for_each_file_of_the_docs(site: Path) -> None:
    """Every page of docs/ is in the site, and the front page leads to the four readers."""
    docs = PROJECT_ROOT / "docs"
    for page in docs.rglob("*.md"):
        assert (site / page.relative_to(docs)).with_suffix(".html").is_file(), page
    front = (site / "index.html").read_text(encoding="utf-8")
    for reader in ("clerk", "operator", "ml-engineer", "developer"):
        assert f"start/{reader}.html" in front


def test_the_site_loads_nothing_from_another_server(site: Path) -> None:
    """Scripts, styles, fonts and pictures come from the site itself; only a click leads elsewhere."""
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe|link)\b[^>]*?(?:src|href)=\"?([^\"\s>]+)", text)
        assert loaded
        assert not [address for address in loaded if re.match(r"(https?:)?//", address)], page
    for style in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", style.read_text(encoding="utf-8")), (
            style
        )


def test_the_reference_shows_every_command_and_route(site: Path) -> None:
    """The generated parts are there: commands with their options, routes with their methods."""
    commands = (site / "reference" / "cli.html").read_text(encoding="utf-8")
    for part in ("returns-pipeline scan", "returns-pipeline models promote", "--dir"):
        assert part in commands
    routes = (site / "reference" / "rest.html").read_text(encoding="utf-8")
    for part in ("POST /process_batch", "GET /api/v1/runs/{run_id}"):
        assert part in routes
    for page in (commands, routes):
        assert "<!-- generated" not in page


#: Faults of a documentation: the file, what is replaced in it, and the warning that names the fault.
FAULTS = [
    (
        "docs/index.md",
        "(start/clerk.md)",
        "(start/clark.md)",
        "'start/clark.md', but the target is not found",
    ),
    ("docs/start/operator.md", "#servers", "#serfers", "does not contain an anchor '#serfers'"),
    (
        "returns_pipeline/api.py",
        '"""Close the connections to the database."""',
        "pass",
        "returns_pipeline.api.Pipeline.close is public and has no docstring",
    ),
    (
        "docs/reference/api.md",
        "::: returns_pipeline.Result\n",
        "",
        "returns_pipeline.Result is not in the reference",
    ),
]


def test_each_fault_of_the_documentation_ends_the_build(tmp_path: Path) -> None:
    """A dead link or anchor, and a public name without docstring or place, are each a warning that counts."""
    for name in SOURCES:
        source = PROJECT_ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path)
    for name, old, new, _ in FAULTS:
        file = tmp_path / name
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1, name
        file.write_text(text.replace(old, new), encoding="utf-8")

    done = build(tmp_path, tmp_path / "site")

    assert done.returncode != 0
    for _, _, _, warning in FAULTS:
        assert warning in done.stderr
    # Each counts, so that each would end the build alone.
    assert f"Aborted with {len(FAULTS)} warnings in strict mode" in done.stdout + done.stderr
