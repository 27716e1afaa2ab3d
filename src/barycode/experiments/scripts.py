"""Scripts of other experiments as modules: experiments are folders of scripts, not packages."""

import importlib.util
from pathlib import Path
from types import ModuleType

from barycode.errors import MissingDataError


def load_script(path: Path) -> ModuleType:
    """The module of a Python file; MissingDataError if there is no such file."""
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}.{path.stem}".replace("-", "_"), path)
    if spec is None or spec.loader is None or not path.exists():
        raise MissingDataError(f"There is no script {path}: experiments need the whole checkout.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
