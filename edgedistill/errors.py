"""The one error a user sees: what is wrong, and the way out."""


class UserError(Exception):
    """Something the user can mend. The command line prints it and exits with code 2.

    `message` says what is wrong, where, and what was received; `hint` says what to do.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


def nearest(name: str, choices: list[str]) -> str:
    """`did you mean ...?` for the closest of `choices`, or the list of them all."""
    import difflib

    close = difflib.get_close_matches(name, choices, n=1)
    return f"did you mean `{close[0]}`?" if close else f"one of: {', '.join(sorted(choices))}"
