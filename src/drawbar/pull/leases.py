"""The leases that workers speak of by id, and, for a while, those that ended.

Law: a lease belongs to one worker, so an id names one lease and not the request: who lost a request and answers it all
the same is told so, also while another worker has it. Only lanes where each call stands alone need ids; where the
connection is the lease, the request's own id is only for reading. Queues report the end of what is registered here.
"""

from drawbar.pull.entry import Entry, Fate

# Ended leases remembered, to tell a worker that is late what happened. Past it, the oldest are unknown.
REMEMBERED = 1_000


class Leases:
    """By id: the entries on lease, and how other leases ended."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._live: dict[str, Entry] = {}
        self._ended: dict[str, Fate] = {}

    def __len__(self) -> int:
        return len(self._live)

    def open(self, entry: Entry) -> str:
        """Registers the lease that `entry` is on and returns its id."""
        entry.set_leases(self)
        self._live[entry.lease_id] = entry
        return entry.lease_id

    def find(self, lease_id: str) -> Entry | Fate | None:
        """The entry on that lease, or how it ended; None for an id that is unknown, made up, or answered already.

        `Fate.ABANDONED`: the client left. Any other: the lease was lost, given back, or the request's time ran out.
        """
        return self._live.get(lease_id) or self._ended.get(lease_id)

    def closed(self, lease_id: str, fate: Fate) -> None:
        """Called by the queue when the lease ends, however it does."""
        del self._live[lease_id]
        if fate is Fate.ANSWERED:
            return
        self._ended[lease_id] = fate
        while len(self._ended) > self._remembered:
            del self._ended[next(iter(self._ended))]
