"""The one way out of every program: an error is a line, and the exit code says whether there was one."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import typer

from barycode import BarycodeError


def run_script(main: Callable[..., Any]) -> NoReturn:
    """Run the main function of a script by its annotations, as `typer.run`, with the way out of `leave`."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    leave(app, Path(sys.argv[0]).name)


def leave(program: Callable[[], Any], name: str) -> NoReturn:
    """Run a program and exit: 0, 1 with a one-line error that starts with its name, or 2 for wrong usage."""
    try:
        program()
    except (BarycodeError, OSError) as error:
        typer.echo(f"{name}: {' '.join(str(error).split())}", err=True)
        sys.exit(1)
    sys.exit(0)
