"""How Sphinx builds the site: `make docs`.

The source directory is the whole repository, so that guides, reports and this page link to each other by the
paths that they have on disk; what is a page is said in `include_patterns`.
"""

import sys
from pathlib import Path

from barycode import __version__

sys.path.insert(0, str(Path(__file__).parent))

project = "Barycode"
author = "The Barycode developers"
project_copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton", "site_extension"]
root_doc = "docs/index"
include_patterns = [
    "docs/**.md",
    "experiments/**.md",
    "benchmarks/README.md",
    "fuzz/README.md",
    "attacks/README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
]
exclude_patterns = ["docs/README.md"]

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

default_role = "code"
autodoc_default_options = {"members": True, "member-order": "bysource", "show-inheritance": True}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"Barycode {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_logo = "_static/logo.svg"
html_favicon = "_static/logo.svg"
html_show_sourcelink = False
html_copy_source = False
pygments_style = "friendly"
pygments_dark_style = "monokai"
copybutton_prompt_text = "$ "
