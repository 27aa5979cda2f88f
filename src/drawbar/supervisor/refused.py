"""An order that makes no sense to this server, or none now."""

from drawbar.supervisor.control.messages import Kind


class Refused(Exception):
    """Why, in one line; `kind` as the control API tells it."""

    def __init__(self, why: str, kind: Kind) -> None:
        super().__init__(why)
        self.kind: Kind = kind
