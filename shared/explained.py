"""The base of errors that a person can act on."""


class ExplainedError(Exception):
    """An error whose message is all that its reader needs: a command that meets it prints that line and ends."""
