"""What the command line tells in one line: an error that a user's input can cause, and work that was stopped."""


class InputError(Exception):
    """Input that the user can mend: the message names the file or key, what was expected and what was found."""


class InterruptedWorkError(Exception):
    """Work that was asked to stop has saved what it had; the same call goes on from there. The message says where."""
