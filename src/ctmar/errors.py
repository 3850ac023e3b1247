"""The one error that a user's input can cause; the command line prints it as a single line."""


class InputError(Exception):
    """Input that the user can mend: the message names the file or key, what was expected and what was found."""
