# cython: language_level=3
"""Which room gets the next request: labels, their shares, and who freed up last.

Law: among rooms of one label, the last one that fell idle goes first: its worker is warm, and those that are not needed
stay idle long enough to be noticed. Without weights that holds across labels. With weights each label is owed its
share of every request that is given out while it has workers, and the one that is owed most goes first. A label whose
rooms are all busy never holds a request up: another one gets it, and what the first is owed then is bounded by
MOST_CREDIT, so that a version that comes back is not flooded. A label that is held gets nothing, and keeps its rooms: a
version that waits for its turn, or in case its successor fails.

Labels are few, so they are walked; rooms are many, and are not.
"""
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport uint64_t
from drawbar.pull.chain cimport Link, chain_first, chain_init, chain_push, chain_remove
from drawbar.pull.entry cimport Label, Room, RoomState

import math

MOST_LABELS = MAX_LABELS
# Requests that a label can be behind its share, or ahead of it. With a share of 10 % it is made good, or forgotten,
# within a hundred requests.
cdef double CREDIT = 10.0
MOST_CREDIT = CREDIT


cdef inline Label _new_label(str name, double weight):
    cdef Label label = Label.__new__(Label)
    label.name = name
    label.weight = weight
    chain_init(&label.rooms)
    return label


cdef class Labels:
    """The labels of one app with their idle rooms."""

    def __cinit__(self):
        self.labels = []
        self.by_name = {}

    def __init__(self):
        self.weights = None
        self.held = frozenset()

    # -- labels

    cdef Label named(self, str name):
        return self.by_name.get(name)

    cdef Label demand(self, str name):
        """The label of that name, a new one if need be; None if there are too many."""
        cdef Label label = self.by_name.get(name)
        if label is not None:
            return label
        if len(self.labels) >= MAX_LABELS and not self._forget_one():
            return None
        label = _new_label(name, 0.0 if self.weights is None else self.weights.get(name, 0.0))
        label.held = name in self.held
        self.by_name[name] = label
        self.labels.append(label)
        return label

    cdef bint _forget_one(self) except *:
        """Makes room for another label: drops the oldest that is not in use, of those retired the last."""
        cdef Label label
        cdef Label found = None
        for label in self.labels:
            if label.idle or label.leased or label.weight > 0:
                continue
            if not label.retired:
                found = label
                break
            if found is None:
                found = label
        if found is None:
            return False
        self.labels.remove(found)
        del self.by_name[found.name]
        return True

    cdef int share(self, dict weights) except -1:
        """Sets the weights, or None for no shares. Nobody is owed anything to begin with."""
        cdef Label label
        cdef dict checked = None
        if weights is not None:
            checked = {str(name): float(weight) for name, weight in weights.items()}
            if len(checked) > MAX_LABELS:
                raise ValueError(f"an app has at most {MAX_LABELS} labels")
            if not all(math.isfinite(weight) and weight >= 0 for weight in checked.values()) or not any(
                    checked.values()):
                raise ValueError("weights are numbers from 0, and one of them at least is above")
        self.weights = checked
        for label in self.labels:
            label.weight = 0.0 if checked is None else checked.get(label.name, 0.0)
            label.credit = 0.0
        return 0

    cdef int hold(self, names) except -1:
        """Gives these labels nothing, and all others what is theirs."""
        cdef Label label
        self.held = frozenset(names)
        for label in self.labels:
            label.held = label.name in self.held
        return 0

    cdef bint may_get(self, Label label) noexcept:
        return not label.retired and not label.held and (self.weights is None or label.weight > 0)

    # -- rooms

    cdef Joined join(self, Room room) except *:
        cdef Label label
        if room.state == RoomState.IDLE:
            raise ValueError("the room is idle already")
        if room.entry is not None:
            raise ValueError("the room has a request")
        # A room that comes back after its label was forgotten is counted where its name is counted now.
        label = self.demand(room.label)
        if label is None:
            return TOO_MANY_LABELS
        room.group = label
        if label.retired:
            room.state = RoomState.AWAY
            return RETIRED
        self.freed += 1
        room.freed = self.freed
        room.state = RoomState.IDLE
        chain_push(&label.rooms, &room.link)
        Py_INCREF(room)
        label.idle += 1
        self.idle += 1
        return JOINED

    cdef int leave(self, Room room) except -1:
        """For good, idle or taken; whoever has its entry sees to that."""
        if room.state == RoomState.IDLE:
            self._unlink(room, RoomState.AWAY)
        room.state = RoomState.AWAY
        return 0

    cdef int _unlink(self, Room room, RoomState state) except -1:
        room.state = state
        room.group.idle -= 1
        self.idle -= 1
        chain_remove(&room.link)
        Py_DECREF(room)
        return 0

    cdef list rooms_of(self, Label label):
        """Those idle, last freed first."""
        cdef list rooms = []
        cdef Room room
        cdef Link* link = label.rooms.next
        while link.owner is not NULL:
            room = <Room>link.owner
            rooms.append(room)
            link = link.next
        return rooms

    cdef uint64_t eligible(self):
        cdef Label label
        cdef uint64_t idle = 0
        for label in self.labels:
            if self.may_get(label):
                idle += label.idle
        return idle

    # -- the decision

    cdef Room take(self):
        cdef Label label
        cdef Room room
        if self.idle == 0:
            return None
        label = self._freed_last() if self.weights is None else self._owed_most()
        if label is None:
            return None
        room = <Room>chain_first(&label.rooms)
        self._unlink(room, RoomState.TAKEN)
        return room

    cdef Label _freed_last(self):
        cdef Label label
        cdef Label best = None
        cdef uint64_t latest = 0
        for label in self.labels:
            # A retired label has no idle rooms.
            if label.idle and not label.held and (<Room>chain_first(&label.rooms)).freed > latest:
                latest = (<Room>chain_first(&label.rooms)).freed
                best = label
        return best

    cdef Label _owed_most(self):
        cdef Label label
        cdef Label best = None
        cdef double total = 0.0
        for label in self.labels:
            if self.may_get(label):
                if label.idle or label.leased:
                    total += label.weight
                if label.idle:
                    best = label
        if best is None:
            return None
        best = None
        for label in self.labels:
            if not self.may_get(label) or not (label.idle or label.leased):
                continue
            label.credit = min(label.credit + label.weight / total, CREDIT)
            if label.idle and (best is None or label.credit > best.credit):
                best = label
        best.credit = max(best.credit - 1.0, -CREDIT)
        return best

    # -- retirement

    cdef list retire(self, str name):
        """Gives that label nothing any more, and takes its idle rooms away: those returned."""
        cdef Label label = self.demand(name)
        cdef Room room
        cdef list rooms
        if label is None:
            raise ValueError(f"an app has at most {MAX_LABELS} labels in use")
        rooms = self.rooms_of(label)
        label.retired = True
        for room in rooms:
            self._unlink(room, RoomState.AWAY)
        return rooms

    cdef int restore(self, str name) except -1:
        cdef Label label = self.named(name)
        if label is not None:
            label.retired = False
        return 0
