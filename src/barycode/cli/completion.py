"""Tab completion: typer's, but its script for zsh, which only introduced itself at the first Tab."""

from typer import _completion_shared as shared

# compinit loads the file `_barycode` at the first Tab as the function of that name, whose body is the script.
ANSWER_AT_ONCE = """
if [[ "${funcstack[1]}" == "_%(prog_name)s" ]]; then
  %(complete_func)s "$@"
fi
"""


def mend_zsh() -> None:
    """Make the script for zsh, printed or installed, complete when it is loaded."""
    script = shared._completion_scripts["zsh"]
    if ANSWER_AT_ONCE not in script:
        shared._completion_scripts["zsh"] = script + ANSWER_AT_ONCE
