"""Numbers of things as people say them. Pure."""


def plural(number: int, one: str, many: str = "") -> str:
    """`1 worker`, `3 workers`."""
    return f"{number} {one if number == 1 else many or one + 's'}"
