"""The command line: one file a sub-command, everything heavy imported only by the command that needs it."""
