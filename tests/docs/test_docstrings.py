"""Every public object, which is what the reference lists, says what it is and what it raises."""

import ast
import importlib
import inspect
import re
import textwrap
from pathlib import Path

import pytest

REFERENCE = Path(__file__).parents[2] / "docs/reference"
DIRECTIVE = re.compile(r"\.\. (currentmodule|auto\w+):: (\S+)")


def entries():
    """The directives of the reference: (kind, full name)."""
    for page in sorted(REFERENCE.glob("*.md")):
        module = ""
        for kind, name in DIRECTIVE.findall(page.read_text()):
            if kind == "currentmodule":
                module = name
            else:
                yield kind, name if name.startswith("barycode.") else f"{module}.{name}"


def listed():
    """The classes and functions of the reference: name -> object."""
    found = {}
    for kind, name in entries():
        if kind == "automodule":
            module = importlib.import_module(name)
            found |= {
                f"{name}.{key}": value
                for key, value in vars(module).items()
                if not key.startswith("_") and getattr(value, "__module__", "") == name and callable(value)
            }
        elif kind != "autodata":
            module, _, key = name.rpartition(".")
            found[name] = getattr(importlib.import_module(module), key)
    return found


def functions(public):
    """What of a class or function has a docstring of its own: (name, function, classes that may lend one)."""
    if not inspect.isclass(public):
        yield "", inspect.unwrap(public), []
        return
    for name, member in vars(public).items():
        if name.startswith("_"):
            continue
        function = getattr(member, "fget", None) or getattr(member, "__func__", member)
        if inspect.isfunction(function) and not function.__name__.startswith("<"):
            yield f".{name}", inspect.unwrap(function), public.__mro__[1:]


def docstring(name, function, lenders):
    lent = (vars(lender).get(name.removeprefix(".")) for lender in lenders)
    return function.__doc__ or next((text for one in lent if (text := getattr(one, "__doc__", None))), "")


def raised(function):
    """The errors that a function raises by itself."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    calls = (node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc)
    names = (ast.unparse(getattr(call, "func", call)).rpartition(".")[2] for call in calls)
    return {name for name in names if name.endswith("Error")}


LISTED = listed()


@pytest.mark.parametrize("name", LISTED)
def test_it_says_what_it_is_and_what_it_raises(name):
    public = LISTED[name]
    own = public.__doc__ or ""
    assert own, name
    generated = own.startswith(f"{public.__name__}(")
    assert not generated, f"{name} is a dataclass with a docstring that nobody wrote"
    for member, function, lenders in functions(public):
        text = docstring(member, function, lenders)
        assert text, f"{name}{member} has no docstring"
        unsaid = {error for error in raised(function) if error not in text + own}
        assert not unsaid, f"{name}{member} raises {unsaid} and does not say so"


def test_the_reference_lists_something():
    assert len(LISTED) > 150
