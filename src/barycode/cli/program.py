"""How every program runs and ends: an error is a line, and the exit code says whether there was one."""

import contextlib
import os
import sys
import traceback
import warnings
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NoReturn

import typer

from barycode.cli.text import one_line

# What a shell gives to a program that Ctrl-C ended, and to one whose reader has gone away.
INTERRUPTED, NOBODY_READS = 130, 141

_tracebacks = ContextVar("tracebacks", default=False)


def show_tracebacks(asked: bool) -> None:
    """Whether errors show where they come from, from here to the end of the program: --debug."""
    if asked:
        _tracebacks.set(True)


def run_script(main: Callable[..., Any]) -> NoReturn:
    """Run the main function of a script by its annotations, as `typer.run`, and exit as `run_program`."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    run_program(app, Path(sys.argv[0]).name)


def run_program(program: Callable[[], Any], name: str) -> NoReturn:
    """Run a program and exit: 0; 1 with a one-line error that starts with its name; 2 for wrong usage; 130
    after Ctrl-C; 141, and in silence, where what it prints is read no longer, as in `| head`.
    """
    _tracebacks.set(False)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # no name stops a message, whatever the encoding
    code = _code_of(program, f"{name}: ")
    sys.exit(_code_of(_flush, f"{name}: ") or code)


def _code_of(program: Callable[[], Any], prefix: str) -> Any:
    """Run what may fail; its exit code, after its one line."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")  # what matters of them is an error or a note
            program()
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # so end typer and rich
            return _unheard(NOBODY_READS)
        if end.code == INTERRUPTED:
            typer.echo(f"{prefix}interrupted", err=True)
        return end.code
    except BrokenPipeError:
        return _unheard(NOBODY_READS)
    except Exception as error:
        tell(error, prefix)
        return _unheard(1) if isinstance(error, OSError) else 1
    return 0


def _unheard(code: int) -> int:
    """The exit code, once what waits to be printed, and can be no more, is thrown away."""
    try:
        _flush()
    except OSError:
        with contextlib.suppress(OSError):  # it is no file
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _flush() -> None:
    if sys.stdout is not None:  # closed by whoever started us
        sys.stdout.flush()


def tell(error: BaseException, prefix: str) -> None:
    """Print an error as one line on stderr, its traceback before it under --debug."""
    if _tracebacks.get():
        traceback.print_exception(error)
    unforeseen = "" if isinstance(error, _foreseen()) else " (--debug shows where)"
    typer.echo(f"{prefix}{one_line(error)}{unforeseen}", err=True)


def _foreseen() -> tuple[type[BaseException], ...]:
    from barycode.errors import BarycodeError

    return (BarycodeError, OSError)
