"""The errors that a user can mend."""


class InputError(ValueError):
    """Something that the caller gave is wrong; the message is one sentence with path, line, value and remedy.

    The command line prints it and ends with exit code 2; a bug raises anything else and shows its traceback.
    """


class MissingExtraError(ImportError):
    """A package is missing that an optional part of this one needs; the message has the `pip install` line."""
