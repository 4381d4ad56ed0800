requirements:
	.venv/bin/uv pip compile -q --universal --python-version 3.11 --no-header --no-annotate pyproject.toml -o requirements.txt
	.venv/bin/uv pip compile -q --universal --python-version 3.11 --no-header --no-annotate --extra train pyproject.toml -o requirements-train.txt -c requirements.txt
	.venv/bin/uv pip compile -q --universal --python-version 3.11 --no-header --no-annotate --extra dev pyproject.toml -o requirements-dev.txt -c requirements-train.txt
	.venv/bin/uv pip compile -q --universal --python-version 3.11 --no-header --no-annotate --extra gpu pyproject.toml -o requirements-gpu.txt -c requirements.txt
