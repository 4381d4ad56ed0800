"""`python -m returns_pipeline.cli`: the same as `returns-pipeline`."""

from returns_pipeline.cli import main

main()
