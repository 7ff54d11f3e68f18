"""The one exception a user is meant to read."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one sentence that says what is wrong and what to do about it; windows and the
    command line show it as it is, without a traceback.
    """


class DoubtfulError(InputError):
    """What the user gave is probably wrong, but need not be: it can be used all the same, if he says so."""
