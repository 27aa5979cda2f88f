"""What is under way for an app, as a front reads it off. Plain data, for whoever hears of it elsewhere."""

import msgspec


class Reading(msgspec.Struct, frozen=True):
    """What holds now, and what has been since the reading before. Times in milliseconds."""

    queued: int
    oldest_ms: int
    busy: int
    room: int
    peak: int
