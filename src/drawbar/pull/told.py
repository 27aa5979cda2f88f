"""What a front's access log says of a request beside what every server knows."""

from typing import Any, Final

from drawbar.exchange.exchange import Exchange
from drawbar.pull.front import Front

NOTHING: Final[dict[str, Any]] = dict.fromkeys(("app", "attempt", "worker", "label", "request_id"))
"""Of a request that no route leads to an app."""


def values_of(front: Front, exchange: Exchange) -> dict[str, Any]:
    """Whose it was, who had it last, and at which attempt; 0: no worker ever had it."""
    delivery = front.delivery_of(exchange)
    entry = delivery.entry if delivery is not None else None
    if delivery is None or entry is None:
        return NOTHING
    room = entry.room
    return {
        "app": delivery.app,
        "attempt": entry.attempts,
        "worker": room.worker if room is not None else None,
        "label": (room.label or None) if room is not None else None,
        "request_id": entry.id if entry.attempts else None,
    }
