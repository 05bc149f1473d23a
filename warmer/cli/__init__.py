"""The command line: one file a command; `wiring` is the one place where ports meet adapters."""

from __future__ import annotations

import sys

from warmer.errors import WarmerError


def main() -> None:
    """Entry point of the console script. Exits with the code that the error tree names."""
    from warmer.cli.app import app

    try:
        app()
    except WarmerError as error:
        print(f"warmer: {error}" if "\n" not in str(error) else str(error), file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of our output has left (`warmer export beats | head`): that is no fault.
        sys.stderr.close()
        sys.exit(0)
