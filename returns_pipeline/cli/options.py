"""Options that several commands have."""

from typing import Annotated

import typer

#: The largest id, and the largest number of another kind, that both databases accept.
MOST_ID = 2**63 - 1
MOST = 2**31 - 1

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until the run is finished.")]
Who = Annotated[str, typer.Option(help="Who decided it. Default: USER@HOST.")]
Reason = Annotated[str, typer.Option(help="Why it was decided, for the history.")]
