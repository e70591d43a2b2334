"""The one exception that is meant for the user's eyes."""


class InputError(Exception):
    """Something the user gave is wrong; the message is one sentence that names it and says what to do."""
