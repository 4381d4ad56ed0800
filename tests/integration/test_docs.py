"""Every command in the pages works, and everything that they name exists."""

import inspect
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import returns_pipeline
from returns_pipeline.errors import FaultCode
from returns_pipeline.host.embedded import Processes
from returns_pipeline.settings import PREFIX, PROJECT_ROOT, Settings, load_settings
from returns_pipeline.store.database import Database
from tests.commands import run_command
from tests.support import Installation, write_images

PAGES = [
    PROJECT_ROOT / "README.md",
    PROJECT_ROOT / "CONTRIBUTING.md",
    *sorted((PROJECT_ROOT / "docs").rglob("*.md")),
]

#: Commands that go on until they are stopped, take minutes or need more than this machine: what proves them.
PROVEN_ELSEWHERE = {
    "make": "the targets are checked here, and run by continuous integration",
    "docker": "tests/unit/test_compose.py",
    "source": "the shell's own",
    "export": "the shell's own",
    "cp": "the file is checked here",
    "mkdir": "the shell's own",
    "sudo": "the administrator's own: owners, services",
    "git": "the developer's own",
    "pip": "the file is checked here",
    "returns-pipeline demo": "tests/integration/test_wheel.py",
    "returns-pipeline up": "tests/integration/test_processes.py",
    "returns-pipeline worker": "tests/integration/test_processes.py",
    "returns-pipeline beat": "tests/integration/test_processes.py",
    "returns-pipeline flower": "tests/integration/test_processes.py",
    "returns-pipeline web": "tests/integration/test_rest.py",
    "returns-pipeline users add": "tests/integration/test_rest.py",
    "returns-pipeline users role": "tests/integration/test_people.py",
    "returns-pipeline retention": "tests/integration/test_retention.py",
    "returns-pipeline backup": "tests/integration/test_backup.py",
    "returns-pipeline restore": "tests/integration/test_backup.py",
    "returns-pipeline plan": "tests/integration/test_plan.py",
    "returns-pipeline notify test": "tests/integration/test_notices.py",
    "returns-pipeline collect": "tests/integration/test_collecting.py",
    "returns-pipeline feed": "tests/integration/test_feeds.py",
    "returns-pipeline evaluate clothing/2": "tests/integration/test_evaluate.py",
    "returns-pipeline models familiarity": "tests/integration/test_unfamiliar.py",
    "returns-pipeline models register": "tests/integration/test_registry.py",
    "returns-pipeline models quantize": "tests/integration/test_quantization.py",
    "returns-pipeline models retrain": "tests/integration/test_retraining.py",
    "returns-pipeline train": "tests/integration/test_recipes.py and tests/unit/test_training_bundle.py",
    "returns-pipeline catalogue embed": "tests/integration/test_embedding.py",
    "returns-pipeline catalogue evaluate": "tests/integration/test_embedding.py",
    "returns-pipeline catalogue remove": "tests/integration/test_product_removal.py",
    "returns-pipeline returns evaluate-products": "tests/integration/test_returns_evaluate.py",
    "celery": "tests/integration/test_processes.py",
}


def commands() -> list[str]:
    """Return every command of the pages: lines after `$ `, and code between backquotes or indented."""
    programs = r"(?:RETURNS_\w+=\S+ )*(?:make|docker|celery|pip|returns-pipeline)"
    found: dict[str, None] = {}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(
            rf"^\$ (.+)$|`({programs} [^`]+)`|^    ({programs} .+)$", text, re.MULTILINE
        ):
            found[re.sub(r"\s+#.*", "", next(group for group in match.groups() if group)).strip()] = None
    return list(found)


def _elsewhere(command: str) -> bool:
    words = [word for word in shlex.split(command) if not word.startswith(PREFIX)]
    return words[0] in PROVEN_ELSEWHERE or any(" ".join(words[:n]) in PROVEN_ELSEWHERE for n in (2, 3))


def _write_training_data(folder: Path) -> None:
    """Write what docs/data.md works with: photos of two labels, their mapping, a CSV file of pixels."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (20, 28, 28), dtype=np.uint8)
    lines = [",".join(["label", *(f"pixel{number + 1}" for number in range(28 * 28))])]
    for index, image in enumerate(pixels):
        path = folder / "photos" / ("dress", "hat")[index % 2] / f"{index}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
        lines.append(",".join(map(str, [index % 10, *image.ravel()])))
    (folder / "fashion-mnist_train.csv").write_text("\n".join(lines), encoding="utf-8")
    (folder / "mains.csv").write_text("sub,main\ndress,clothes\nhat,headwear\n", encoding="utf-8")


def _write_manifest(folder: Path) -> None:
    """Write what docs/returns.md works with: returns, whose columns a mapping names too."""
    lines = (
        "number,expected,customer,Vorgang,Artikelart",
        "RMA-1,Bag,K-1,RMA-1,Bag",
        "RMA-2,Coat,K-4711,RMA-2,Coat",
    )
    (folder / "returns.csv").write_text("\n".join(lines), encoding="utf-8")
    (folder / "shop.json").write_text('{"number": "Vorgang", "expected": "Artikelart"}', encoding="utf-8")


def _write_products(folder: Path) -> None:
    """Write what docs/catalogue.md works with: products, also with columns that a mapping names."""
    (folder / "products.csv").write_text("id,title,price\nSKU-1,Hat,12.99\n", encoding="utf-8")
    (folder / "shop.jsonl").write_text(
        '{"Art": "A", "Gruppe": "Hats", "Typ": "Caps", "cost": {"amount": 5}}\n', encoding="utf-8"
    )
    (folder / "fields.json").write_text(
        '{"id": "Art", "category": ["Gruppe", "Typ"], "price": "cost.amount"}', encoding="utf-8"
    )


def _write_events(folder: Path) -> None:
    """Write what docs/recommendations.md works with: events of two customers."""
    lines = ("customer,product,kind,at", "K-4712,SKU-1,kept,2026-11-30", "K-4713,SKU-1,viewed,2026-11-30")
    (folder / "events.csv").write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Give a running installation in a folder that has `samples/`, and one closed run."""
    folder = tmp_path_factory.mktemp("docs")
    shutil.copytree(PROJECT_ROOT / "samples", folder / "samples")
    settings = load_settings(home=folder / "var", settle_seconds=0, worker_processes=1)
    write_images(settings.incoming_dir, 3)
    _write_training_data(folder)
    _write_manifest(folder)
    _write_products(folder)
    _write_events(folder)
    database = Database(settings.database_url)
    database.upgrade()
    with Processes(settings) as processes:
        processes.start_redis()
        processes.start_workers()
        home = Installation(settings, database)
        home.json("scan", "--wait")
        yield home
    database.close()


@pytest.mark.slow
def test_every_command_of_the_pages_works(running: Installation) -> None:
    """Each `returns-pipeline` command in a page exits with 0 when it is typed as it stands."""
    typed = [command for command in commands() if not _elsewhere(command)]
    assert len(typed) >= 6, "the pages have fewer commands than they had"
    folder = running.settings.home.parent
    for command in typed:
        words = shlex.split(command)
        assert words[0] == "returns-pipeline", f"{command!r} is proven by nothing"
        done = run_command(words[1:], environment=running.environment(), folder=folder)
        assert done.returncode == 0, f"{command}\n{done.stderr}"


def test_every_other_command_exists() -> None:
    """Each make target, option, sub-command and file that a page's command names is there."""
    makefile = (PROJECT_ROOT / "Makefile").read_text(encoding="utf-8")
    for command in filter(_elsewhere, commands()):
        words = [word for word in shlex.split(command) if not word.startswith(PREFIX)]
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE), command
        elif words[0] in {"cp", "pip"}:
            assert (PROJECT_ROOT / words[-2 if words[0] == "cp" else -1]).is_file(), command
        elif words[0] == "returns-pipeline":
            subcommand = [word for word in words[1:3] if re.fullmatch(r"[a-z][a-z-]+", word)]
            done = run_command([*subcommand, "--help"], environment=os.environ, folder=PROJECT_ROOT)
            assert done.returncode == 0, command


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_every_file_that_a_developer_is_sent_to_exists(page: str) -> None:
    """A path in backquotes exists, in the repository or below the package; NAME and NNNN stand for any."""
    text = (PROJECT_ROOT / page).read_text(encoding="utf-8")
    paths = set(re.findall(r"`((?:[\w.-]+/)*(?:[\w-]+\.(?:py|md|toml|html|yml|txt)|[\w-]+/))`", text))
    assert len(paths) >= 20
    for path in sorted(paths):
        pattern = re.sub(r"NAME|NNNN_what_changes", "*", path)
        places = [PROJECT_ROOT, PROJECT_ROOT / "returns_pipeline"]
        assert any(next(place.glob(pattern), None) for place in places), f"{page}: {path}"


def test_every_fault_code_is_explained() -> None:
    """The page of faults has each code of the closed set with its very sentence, and no other."""
    text = (PROJECT_ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(\w+)` \| \w+ \| (.+) \|$", text, re.MULTILINE))
    assert listed == {code.value: code.sentence for code in FaultCode}


def test_every_link_and_setting_of_the_pages_exists() -> None:
    """A page links only to files that exist, and names only settings that are read."""
    fields = {PREFIX + name.upper() for name in Settings.model_fields}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
        named = set(re.findall(rf"{PREFIX}[A-Z_]+[A-Z]", text))
        assert named <= fields, f"{page.name}: {named - fields}"


def _programs() -> list[str]:
    """Return the Python programs of the pages and of the API's docstring, each once."""
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    texts += [inspect.getdoc(returns_pipeline.open_pipeline) or ""]
    blocks = [
        textwrap.dedent(block)
        for text in texts
        for block in re.findall(r"^ *```python\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    ]
    return list(dict.fromkeys(block for block in blocks if "import returns_pipeline" in block))


@pytest.mark.parametrize("program", _programs())
def test_every_program_of_the_pages_works(running: Installation, program: str) -> None:
    """A program that uses the public API runs as it stands and prints the label of the sample."""
    done = _run_python(running, program)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^image_1012_label_1\.png Trouser 0\.\d+$", done.stdout, re.MULTILINE)


def test_the_readme_needs_five_lines() -> None:
    """The README shows a true result of the API in at most five lines."""
    (program,) = [block for block in _programs() if block in PAGES[0].read_text(encoding="utf-8")]
    assert len([line for line in program.splitlines() if line.strip()]) <= 5


def test_the_shell_session_of_the_readme_works(running: Installation) -> None:
    """The lines after `>>>` in the README run as they stand."""
    text = PAGES[0].read_text(encoding="utf-8")
    lines = re.findall(r"^>>> (.+)$", text, re.MULTILINE)
    assert lines
    code = "\n".join([*lines[:-1], f"print({lines[-1]})"])
    done = _run_python(running, code)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\{'run': \d+\}\n", done.stdout)


def _run_python(running: Installation, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=running.settings.home.parent,
        env={**running.environment(), "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
