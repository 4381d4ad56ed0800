"""Several web processes behind one port: they share the requests, and one that dies is replaced."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from tests.faults.night import until
from tests.web import batch_of, site


def test_processes_share_a_port_and_are_replaced(tmp_path: Path) -> None:
    """Predictions are right through every process, a killed one is replaced, and all end with the first."""
    with site(tmp_path, web_processes=2) as here:
        images, right = batch_of(here, 30, 0)

        def ask(image: str) -> list[int]:
            found: list[int] = here.ask("POST", "/process_batch", json={"images": [image]}).json()[
                "predictions"
            ]
            return found

        with ThreadPoolExecutor(8) as clients:
            assert [label for (label,) in clients.map(ask, images)] == right
        parent = psutil.Process(here.processes.process("web").pid)
        first, second = parent.children()
        first.kill()
        until(lambda: len(parent.children()) == 2 and first not in parent.children(), what="it is replaced")
        assert second in parent.children()
        assert here.ask("GET", "/healthz").ok
        children = parent.children()
        parent.terminate()
        assert here.processes.release("web").wait(30) == 0
        assert not any(child.is_running() for child in children)
