"""The command line: one module a command group. `main` turns every error into a sentence and an exit code."""

import sys


def main() -> None:
    """Run the command line.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a wrong setting or a refused request, 130 ended by Ctrl-C,
    141 when the reader of the output has gone.
    """
    try:
        # Imported here, so that Ctrl-C during the imports ends without a traceback too.
        from returns_pipeline.cli.running import run

        code = run()
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
