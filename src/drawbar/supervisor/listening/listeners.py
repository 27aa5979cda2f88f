"""All listening sockets of a server: which there are, who gets which, and how they change while it serves.

The master opens them before any worker and keeps them; workers get them through fork. A socket stays as long as its
place does, whatever becomes of the workers that accept from it: what waits in its queue is served by whoever comes.
A place is a bind and, for sockets one worker has for itself (`reuseport`, `worker_bind`), the worker's slot.

Invariants:
- An update opens everything new before it lets go of anything; one that fails changes nothing.
- Sockets no longer wanted stay open until the workers that were started with them are gone (`drop_left`).
- A worker holds no socket of another slot: the kernel would go on giving it connections nobody accepts.
- A socket's file is removed by the last server that listens on it, however many masters had the socket.
"""

import socket
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from drawbar.config import Bind, Config, OperatorError, TcpBind, parse_bind
from drawbar.config.listen import WORKER_NUMBER
from drawbar.supervisor.listening.sockets import (
    ALONE,
    InUse,
    Made,
    Opened,
    Options,
    Sharing,
    address_of,
    open_bind,
    reapply,
)
from drawbar.supervisor.listening.steering import steer

if TYPE_CHECKING:
    from drawbar.supervisor.front.place import PrivatePlace

SHARED = 0
"""The slot of sockets all workers have; a worker's own begin at 1."""

API = "--api"
"""The option of the places workers elsewhere pull from; only a front has any."""

QUIET_S = 1.0
"""A removed slot's worker accepts for so long after no new connection is led to it: a handshake that had begun takes a
round trip or two, and one retransmission after a second in the worst usual case (RFC 6298)."""


class Place(msgspec.Struct, frozen=True, order=True):
    """Where a socket belongs. `nth` tells apart equal binds of one slot: `127.0.0.1:0` twice is two ports."""

    slot: int
    bind: str
    nth: int
    option: str = "--bind"

    @property
    def is_spread(self) -> bool:
        """One of several sockets on the same address, over which the kernel spreads connections."""
        return self.slot != SHARED and self.option == "--bind"

    @property
    def where(self) -> str:
        """What the operator wrote, for errors."""
        return f"{self.option} {self.bind}"


class Passed(msgspec.Struct, frozen=True, omit_defaults=True):
    """A socket on its way to another master: pure data beside the descriptor that is inherited."""

    place: Place
    fd: int
    path: str | None = None
    identity: tuple[int, int] = (0, 0)


class Sockets(list[socket.socket]):
    """What a process accepts from; `api` are those of them that workers pull from.

    `private`, none of the list, are for the workers of the same master, by application. `orders` is no listener: by it
    a front hears from the master.
    """

    def __init__(
        self,
        found: Iterable[socket.socket] = (),
        api: Iterable[socket.socket] = (),
        private: Mapping[str, socket.socket] | None = None,
    ) -> None:
        super().__init__(found)
        self.api = frozenset(api)
        self.private = dict(private or {})
        self.orders: socket.socket | None = None


class Handover(msgspec.Struct, frozen=True):
    """What a server passes to its successor."""

    reuseport: bool
    ipv6_only: bool
    sockets: tuple[Passed, ...]

    def to_text(self) -> str:
        """For an environment variable."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_text(cls, text: str) -> "Handover":
        """Reads what to_text() wrote; raises OperatorError when it is anything else."""
        try:
            return msgspec.json.decode(text, type=cls)
        except msgspec.MsgspecError as error:
            raise OperatorError(f"the listeners passed on cannot be read ({error})") from error

    def descriptors(self) -> tuple[int, ...]:
        """What the successor's process must inherit, under the same numbers."""
        return tuple(passed.fd for passed in self.sockets)


def shared_places(config: Config) -> list[Place]:
    """Places of sockets that all workers accept from; none where workers dial fronts."""
    if config.work.front:
        return []
    binds = (str(bind) for bind in config.server.bind if not _is_spread(config, bind))
    return _places(SHARED, binds, "--bind") + _places(SHARED, map(str, config.api.bind), API)


def own_places(config: Config, slot: int) -> list[Place]:
    """Places of sockets the worker of this slot has for itself."""
    if config.work.front:
        return []
    spread = (str(bind) for bind in config.server.bind if _is_spread(config, bind))
    own = (text.replace(WORKER_NUMBER, str(slot)) for text in config.listen.worker_bind)
    return _places(slot, spread, "--bind") + _places(slot, own, "--worker-bind")


def _places(slot: int, binds: Iterable[str], option: str) -> list[Place]:
    places: list[Place] = []
    for bind in binds:
        places.append(Place(slot, bind, sum(place.bind == bind for place in places), option))
    return places


def _is_spread(config: Config, bind: Bind) -> bool:
    return config.listen.reuseport and isinstance(bind, TcpBind)


class Listeners:
    """All listening sockets of a server. Raises OperatorError for the first bind that cannot be had, and keeps none."""

    def __init__(
        self,
        config: Config,
        *,
        slots: Iterable[int] = (1,),
        inherited: Handover | None = None,
        tell: Callable[[str], None] = lambda line: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Opens what `config` says for these slots; sockets of `inherited` are used where they belong.

        tell: gets a line for each attempt at an address that is in use. sleep: waits that many seconds.
        """
        self._config = config
        self._open: dict[Place, list[Opened]] = {}
        self._left: dict[Place, list[Opened]] = {}
        self.place: PrivatePlace | None = None
        """Where this server's own workers reach a front; set by whoever has one."""
        self._leaving: set[int] = set()
        """Slots whose workers are about to go for good."""
        self._tell = tell
        given = _take_over(inherited) if inherited is not None else {}
        slots = set(slots)
        try:
            if inherited is not None:
                _refuse_changes(config, inherited.reuseport, inherited.ipv6_only, given)
            wanted = [*_wanted(config, slots), *_beyond(config, slots, given)]
            tries = _Tries(config.listen.bind_tries, config.listen.bind_delay, tell, sleep)
            self._open = self._complete(wanted, config, given, tries)
        except BaseException:
            _close(given)
            raise
        # Their files are the predecessor's business as long as it listens.
        _close({place: opened for place, opened in given.items() if place not in self._open})
        # The predecessor's workers empty these; nobody here will.
        self._leaving = {place.slot for place in self._open} - slots - {SHARED}
        self._steer()

    # Who gets what.

    @property
    def sockets(self) -> list[socket.socket]:
        """Every socket the master holds."""
        return [opened.socket for group in (self._open, self._left) for sockets in group.values() for opened in sockets]

    def descriptors(self) -> list[int]:
        """The same, and those of the private place."""
        private = [] if self.place is None else self.place.descriptors()
        return [*(listener.fileno() for listener in self.sockets), *private]

    def for_slot(self, slot: int) -> Sockets:
        """What the worker of a slot accepts from: the shared sockets and its own, opened if there are none yet.

        Raises OperatorError when they cannot be opened.
        """
        places = own_places(self._config, slot)
        if any(place not in self._open for place in places):
            wanted = [*self._open, *(place for place in places if place not in self._open)]
            self._open = self._complete(wanted, self._config, self._open, _Tries())
        if slot in self._leaving:
            self._leaving.discard(slot)
            self._steer()
        mine = [
            (place, opened.socket)
            for place in self._open
            if place.slot in (SHARED, slot)
            for opened in self._open[place]
        ]
        private = {} if self.place is None else self.place.sockets()
        return Sockets((found for _, found in mine), (found for place, found in mine if place.option == API), private)

    def has_own(self, slot: int) -> bool:
        """The worker of a slot has sockets no other slot's worker has."""
        return any(place.slot == slot for place in self._open)

    @property
    def has_left(self) -> bool:
        """Some workers may still have sockets that others no longer get."""
        return bool(self._left)

    def not_for_slot(self, slot: int) -> list[int]:
        """Descriptors the worker of a slot must close: sockets of other slots, and those no longer wanted."""
        found = self.for_slot(slot)
        mine = {listener.fileno() for listener in (*found, *found.private.values())}
        return [descriptor for descriptor in self.descriptors() if descriptor not in mine]

    def addresses(self, *, api: bool = False) -> list[str]:
        """Where clients, or workers, reach the server, as a person would type it."""
        groups = (sockets for place, sockets in self._open.items() if (place.option == API) is api)
        scheme = "https" if api and self._config.api.cert_file is not None else "http"
        return list(dict.fromkeys(address_of(opened.socket, scheme) for sockets in groups for opened in sockets))

    # Slots that go.

    def retire_slot(self, slot: int) -> float:
        """The slot will have no worker any more; it must be the highest. Returns seconds its worker is to serve on.

        New connections are led to other workers. After that time the worker is told to stop, takes what waits, and
        `close_slot` follows its end.
        """
        if not self.has_own(slot):
            return 0.0
        self._leaving.add(slot)
        self._steer()
        return QUIET_S

    def keep_slots(self, slots: Iterable[int]) -> None:
        """These have a worker, still or again: new connections are led to them as to all others."""
        if self._leaving.intersection(slots):
            self._leaving.difference_update(slots)
            self._steer()

    def close_slot(self, slot: int) -> None:
        """The slot's last worker has gone: closes what only it accepted from. A slot that was revived keeps all."""
        if slot not in self._leaving:
            return
        _close({place: opened for place, opened in self._open.items() if place.slot == slot})
        self._open = {place: opened for place, opened in self._open.items() if place.slot != slot}
        self._leaving.discard(slot)
        self._steer()

    def _steer(self) -> None:
        """Leads the connections of spread binds past the slots that go."""
        for place, opened in self._open.items():
            if not place.is_spread or place.slot != 1:
                continue
            group = [other for other in self._open if _group(other) == _group(place)]
            staying = [other for other in group if other.slot not in self._leaving]
            for part in opened:
                try:
                    steer(part.socket, len(staying), of=len(group))
                except OSError as error:
                    self._tell(f"connections cannot be led past a worker that goes ({error.strerror})")

    # Changes while serving.

    def update(self, config: Config, slots: Iterable[int]) -> None:
        """Makes the sockets what `config` says for these slots: keeps equal places, opens new ones.

        Those no longer wanted stay open for the workers that have them until drop_left(); slots beyond `slots` keep
        theirs until retire_slot() and close_slot(). Raises OperatorError, with nothing changed, when a new one cannot
        be had. Addresses in use are not tried again: nobody waits here.
        """
        had = self._left | self._open
        slots = set(slots)
        _refuse_changes(config, self._config.listen.reuseport, self._config.listen.ipv6_only, self._open)
        wanted = [*_wanted(config, slots), *_beyond(config, slots, self._open)]
        left = {place: opened for place, opened in had.items() if place not in wanted}
        complete = self._complete(wanted, config, had, _Tries(), left)
        try:
            self._reapply(config, {place: opened for place, opened in complete.items() if place in had})
        except OperatorError:
            _close({place: opened for place, opened in complete.items() if place not in had})
            raise
        self._open, self._left, self._config = complete, left, config
        self._leaving.intersection_update(place.slot for place in complete)
        self._steer()

    def drop_left(self) -> None:
        """No worker has the sockets any more that the last updates left: closes them and removes their files.

        Best just before the last such worker is told to stop: it takes what waits in them, and they close with it.
        """
        _close(self._left)
        self._left = {}
        if self.place is not None:
            self.place.drop_left()

    def _reapply(self, config: Config, kept: dict[Place, list[Opened]]) -> None:
        for place, sockets in kept.items():
            options = _options(config, place)
            if options == _options(self._config, place):
                continue
            for opened in sockets:
                reapply(opened, options, place.where)

    # To another master, and to the end.

    def handover(self) -> Handover:
        """All sockets as data for a successor. Their descriptors must be inherited under the same numbers."""
        listen = self._config.listen
        passed = [
            Passed(
                place,
                opened.socket.fileno(),
                opened.made.path if opened.made is not None else None,
                opened.made.identity if opened.made is not None else (0, 0),
            )
            for place, sockets in self._open.items()
            for opened in sockets
        ]
        return Handover(listen.reuseport, listen.ipv6_only, tuple(passed))

    def close(self) -> None:
        """Closes the sockets and removes the files of those nobody else listens on."""
        _close(self._left)
        _close(self._open)
        self._open, self._left = {}, {}

    # Opening.

    def _complete(
        self,
        wanted: Iterable[Place],
        config: Config,
        had: dict[Place, list[Opened]],
        tries: "_Tries",
        left: dict[Place, list[Opened]] | None = None,
    ) -> dict[Place, list[Opened]]:
        """The sockets of all wanted places: those there are, and new ones. Opens none when one cannot be had."""
        complete: dict[Place, list[Opened]] = {}
        try:
            for place in wanted:
                if place in had:
                    complete[place] = had[place]
                    continue
                bind = _parse(place)
                sharing = _sharing(place, bind, complete, left or {})
                complete[place] = tries.open(bind, _options(config, place), place.where, sharing)
        except BaseException:
            _close({place: opened for place, opened in complete.items() if place not in had})
            raise
        return complete


class _Tries:
    """Attempts at an address that is in use. `tries` 0 is without end."""

    def __init__(
        self,
        tries: int = 1,
        delay_s: float = 0.0,
        tell: Callable[[str], None] = lambda line: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._tries = tries
        self._delay_s = delay_s
        self._tell = tell
        self._sleep = sleep

    def open(self, bind: Bind, options: Options, where: str, sharing: Sharing) -> list[Opened]:
        """The bind's sockets; tried again after InUse, as often as there are tries."""
        tried = 0
        while True:
            try:
                return open_bind(bind, options, where, sharing)
            except InUse as error:
                tried += 1
                if tried == self._tries:
                    raise
                of = f" of {self._tries}" if self._tries else ""
                self._tell(f"{error.where}: {error.what}; trying again in {self._delay_s:g} s (attempt {tried}{of})")
                self._sleep(self._delay_s)


def _wanted(config: Config, slots: Iterable[int]) -> list[Place]:
    return [*shared_places(config), *(place for slot in sorted(slots) for place in own_places(config, slot))]


def _beyond(config: Config, slots: set[int], had: dict[Place, list[Opened]]) -> list[Place]:
    """Spread places of slots that are there and not wanted: what waits in them is not to be lost."""
    beyond = {place.slot for place in had} - slots - {SHARED}
    return [place for place in _wanted(config, beyond) if place in had and place.slot != SHARED and place.is_spread]


def _options(config: Config, place: Place) -> Options:
    """What the sockets of a place are made with."""
    options = Options.of(config)
    return options._replace(unix_mode=config.api.unix_mode) if place.option == API else options


def _parse(place: Place) -> Bind:
    try:
        return parse_bind(place.bind)
    except ValueError as error:
        raise OperatorError(str(error), where=f"{place.option} for worker {place.slot}") from error


def _group(place: Place) -> tuple[str, int, str]:
    """Equal for sockets of one bind in several slots."""
    return place.bind, place.nth, place.option


def _sharing(
    place: Place,
    bind: Bind,
    opened: dict[Place, list[Opened]],
    left: dict[Place, list[Opened]],
) -> Sharing:
    """How a new socket stands to the others of ours."""
    if not isinstance(bind, TcpBind):
        return ALONE
    if place.is_spread:
        first = next((sockets for other, sockets in opened.items() if _group(other) == _group(place)), None)
        if first is None:
            return Sharing(joined=True)
        return Sharing(port=first[0].socket.getsockname()[1], joins=True, joined=True)
    # `127.0.0.1:8000` after `0.0.0.0:8000`, which serves on until its workers have gone.
    overlapping = [
        old.socket
        for sockets in left.values()
        for old in sockets
        if bind.port and old.socket.family != socket.AF_UNIX and old.socket.getsockname()[1] == bind.port
    ]
    for listener in overlapping:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return Sharing(joins=bool(overlapping), joined=bool(overlapping))


def _refuse_changes(config: Config, reuseport: bool, ipv6_only: bool, had: dict[Place, list[Opened]]) -> None:
    """What a socket is for its whole life. A second one beside it would share its connections until it goes."""
    right = "restart the server for that"
    binds = {place.bind for place in had if place.option == "--bind"}
    kept = [bind for bind in config.server.bind if isinstance(bind, TcpBind) and str(bind) in binds]
    if kept and config.listen.reuseport != reuseport:
        raise OperatorError(f"{kept[0]} cannot change to it while it serves", where="listen.reuseport", right=right)
    if config.listen.ipv6_only != ipv6_only and any(not bind.host for bind in kept):
        raise OperatorError(f"{kept[0]} cannot change to it while it serves", where="listen.ipv6_only", right=right)


def _take_over(inherited: Handover) -> dict[Place, list[Opened]]:
    """The sockets a predecessor passed on. Raises OperatorError when a descriptor is none."""
    given: dict[Place, list[Opened]] = {}
    for passed in inherited.sockets:
        try:
            listener = socket.socket(fileno=passed.fd)
        except OSError as error:
            _close(given)
            what = f"descriptor {passed.fd}, passed on for {passed.place.bind}, is no open socket"
            raise OperatorError(what) from error
        listener.set_inheritable(False)
        listener.setblocking(False)
        made = Made(passed.path, passed.identity) if passed.path is not None else None
        given.setdefault(passed.place, []).append(Opened(listener, made))
    return given


def _close(places: dict[Place, list[Opened]]) -> None:
    for sockets in places.values():
        for opened in sockets:
            opened.close()
