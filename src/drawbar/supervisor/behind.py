"""The teams behind a front: when they begin, follow a new configuration, and end, as the front does.

What is done to a server of several teams has an order, and this is where it stands:

- Start: where nothing could be served without one application, and in an upgrade, the front begins when the
  applications have begun, so that nobody is let in who cannot be served.
- Reload: the front first, one application and the other after it: a front that ends gives its last requests to workers
  that stay. A front that does not start ends the reload; an application that does not start stays as it was, alone.
- End: the front first. Nobody is left then whom the workers could still answer, so they end at once, and have what is
  left of the front's time.

Without a front there are none, and all of it is nothing.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from drawbar.config import Config, OperatorError
from drawbar.supervisor.command.session import leader_of
from drawbar.supervisor.front.channel import Gauged, News, Seen
from drawbar.supervisor.front.place import PrivatePlace
from drawbar.supervisor.host.privileges import plan_privileges
from drawbar.supervisor.pool import Ending, Strategy
from drawbar.supervisor.split import is_alone, most_workers, team_specs
from drawbar.supervisor.team import Team, TeamSpec
from drawbar.supervisor.trade import RunWorker
from drawbar.supervisor.versions import Version, in_force, laid_over

if TYPE_CHECKING:
    from drawbar.supervisor.master import Master


class Behind:
    """What a master does about the teams that do not listen.

    run_worker: what runs in their processes; None where there shall be none. resized: by application, numbers of
    workers that a former master was told. versions: by application, what a deploy has made of it.
    """

    def __init__(
        self,
        master: "Master",
        run_worker: RunWorker | None,
        place: PrivatePlace | None,
        resized: Mapping[str, int],
        versions: Mapping[str, Version],
    ) -> None:
        self.place = place
        self.versions = dict(versions)
        self.failures: dict[str, str] = {}
        """Why an application is not what the last reload, or the start, wanted; told when all is settled."""
        self._master = master
        self._run_worker = run_worker
        self._resized = resized
        self._wanted: list[TeamSpec] | None = None
        """What the applications are to be when the front is what it is to be."""
        self._strategy: Strategy | None = None
        self._is_front_held = False
        """The front waits for the applications."""

    # What there is to be.

    def specs(self, config: Config) -> list[TeamSpec]:
        """The teams of this configuration. Raises OperatorError."""
        if self._run_worker is None or self.place is None:
            return []
        versions = in_force(config, self.versions)
        return team_specs(laid_over(config, versions), self._run_worker, self.place.path)

    def room(self, config: Config) -> int:
        """How many workers there may come to be."""
        return sum(most_workers(config, spec) for spec in self.specs(config))

    def take_place(self, config: Config) -> None:
        """Opens the sockets that the workers will dial. Raises OperatorError."""
        if self.place is None:
            return
        mine = (os.getuid(), os.getgid())
        owners = {plan.name: mine for plan in config.app_plans()}
        for spec in self.specs(config):
            who = plan_privileges(spec.config.process)
            if who is not None and who.uid is not None:
                owners[spec.app] = (who.uid, mine[1] if who.gid is None else who.gid)
        self.place.update(owners)

    # Start.

    def begin(self, *, after_another: bool) -> None:
        """The first generation. after_another: a former master serves until this one does."""
        config, fronts = self._master.config, self._master.fronts
        fronts.hear(self._on_news)
        specs = self.specs(config)
        for spec in specs:
            # One that starts when it is asked for does not end a server that has begun.
            self._add(spec, stubborn=not is_alone(config) or spec.workers == 0)
        if specs and (is_alone(config) or after_another):
            self._is_front_held = self._master.lead.pool.barren = True

    def _add(self, spec: TeamSpec, *, stubborn: bool) -> None:
        count = self._resized.get(spec.app)
        resized = count is not None and spec.scale is None
        if count is not None:
            spec = spec._replace(workers=count)
        team = self._master.make_team(spec, log=self._master.log, stubborn=stubborn, is_resized=resized)
        self._master.teams.add(team).begin()

    def is_tried(self) -> bool:
        """Each application has begun, or turned out not to."""
        return all(team.is_tried() for team in self._master.teams.apps)

    # Turn by turn.

    def act(self, ending: Ending | None) -> bool:
        """Does what is to be done now. ending: of the front, which is gone. Returns whether the front is to end now."""
        master = self._master
        if self._is_front_held and self.is_tried():
            self._is_front_held = master.lead.pool.barren = False
        for team in master.teams.apps:
            if ending is not None:
                self._dismiss(team)
            over = team.act()
            if over is not None:
                master.teams.remove(team)
                if master.deploys.on_team_over(team, over):
                    continue
                if over.error is not None and not master.is_stopping:
                    master.lead.pool.ending = over
                    return True
        if ending is not None and self.place is not None:
            # Whoever dials would wait for an answer: now that they have heard that they are to go, nobody wonders.
            self.place.close()
        return False

    def settle(self) -> None:
        """Notes what has come to its end; takes back what does not start."""
        for team in self._master.teams.apps:
            if team.pool.held and team.former is not None:
                self.on_failed(team, team.crew.last_failure)
            if not team.settle():
                continue
            if not team.pool.held:
                team.former = None
            why = team.crew.last_failure or team.start_failure
            if not team.pool.booted and team.pool.slots and why:
                self.failures[team.app] = why

    def on_failed(self, team: Team, why: str) -> None:
        """A new generation does not start: its application goes back, alone."""
        self.failures[team.app] = why
        self._master.tell_error(f"{team.app}: the last reload failed, the former workers serve on: {why}")
        team.roll_back(self._master.log)

    def tell_failures(self) -> str | None:
        """Why not everything is as it was to be; the next reload begins with none."""
        told, self.failures = self.failures, {}
        return "; ".join(f"{app}: {why}" for app, why in told.items()) or None

    # Reload.

    def reload(self, specs: list[TeamSpec], strategy: Strategy | None) -> None:
        """These are what there is to be, once the front is what it is to be."""
        self._wanted, self._strategy = specs, strategy
        self.failures = {}
        self.versions = in_force(self._master.config, self.versions)

    def forget(self) -> None:
        """The front is not."""
        self._wanted = None

    @property
    def is_settled(self) -> bool:
        """Nothing waits for the front."""
        return self._wanted is None

    def follow(self) -> None:
        """The front is: its applications follow."""
        wanted, self._wanted = self._wanted, None
        if wanted is None:
            return
        teams = self._master.teams
        for team in teams.apps:
            if team.app not in {spec.app for spec in wanted}:
                team.pool.on_stop(self._master.clock())
        for spec in wanted:
            present = teams.of_app(spec.app)
            if present is None or present.pool.ending is not None:
                self._add(spec, stubborn=True)
            else:
                if present.label != spec.label:
                    self._master.deploys.on_relabelled(spec.app)
                present.reload(spec, self._master.log, self._strategy)
                present.renew()

    # News of the front.

    def _on_news(self, news: News) -> None:
        if isinstance(news, Seen) and news.is_there:
            self._on_seen(news)
        elif isinstance(news, Gauged):
            self._on_gauged(news)

    def _on_seen(self, seen: Seen) -> None:
        """A process is there: of a command only this tells that it serves."""
        found = self._master.teams.find(leader_of(seen.pid))
        if found is not None:
            team, worker = found
            team.on_attached(worker)

    def _on_gauged(self, gauged: Gauged) -> None:
        """What is under way for an application. Between two versions of it nothing is decided."""
        for team in self._master.teams.apps:
            if team.app == gauged.app:
                team.on_gauged(gauged.reading)

    # Versions: two teams of an application, for as long as a deploy takes.

    def spec_of(self, app: str, version: Version) -> TeamSpec:
        """The team of a version. Raises OperatorError when it cannot be."""
        assert self._run_worker is not None, "only a front has applications"
        assert self.place is not None, "a front has a place for its workers"
        config = laid_over(self._master.config, {app: version})
        for spec in team_specs(config, self._run_worker, self.place.path):
            if spec.app == app:
                return spec
        right = "say --target or --command"
        raise OperatorError(f"{app} has no workers here, and nothing to start them from", right=right)

    def begin_version(self, spec: TeamSpec) -> None:
        """Starts its workers beside those that there are."""
        team = self._master.make_team(spec, log=self._master.log, stubborn=False)
        self._master.teams.add(team).begin()

    def end_version(self, team: Team) -> None:
        """Its workers finish what they have, and end."""
        team.pool.timing = team.pool.timing._replace(drain_delay_s=0.0)
        if team.pool.stops == 0:
            team.pool.on_stop(self._master.clock())

    # Other numbers.

    def team_to_resize(self, by: str, app: str | None) -> Team:
        """Whose workers are to be more or fewer. Raises OperatorError when that is not clear."""
        teams = self._master.teams
        if self.place is None and app is None:
            return teams.lead
        # Two versions are one application, and one that ends is none.
        names = list(dict.fromkeys(team.app for team in teams.apps if team.pool.ending is None))
        if app is None and len(names) == 1:
            app = names[0]
        found = None if app is None else teams.of_app(app)
        if found is None:
            what = "several applications have workers" if app is None else f"{app} has no workers here"
            if not names:
                raise OperatorError(f"{by}: this server has no workers of its own")
            raise OperatorError(f"{by}: {what}", right=f"say --app NAME, of {', '.join(names)}")
        # The new version begins with as many as there are: those of the old one would be more or fewer for a moment.
        self._master.deploys.require_rest(by, of_own=True, of_app=found.app)
        return found

    def resized(self) -> dict[str, int]:
        """The numbers of workers that somebody has said, or the queue, by application, for the next master."""
        teams = self._master.teams.apps
        return {team.app: len(team.pool.slots) for team in teams if team.is_resized or team.scaling is not None}

    # End.

    def on_stop(self) -> None:
        """Somebody asks again that the whole shall stop, in more haste."""
        for team in self._master.teams.apps:
            if team.pool.ending is not None:
                team.pool.on_stop(self._master.clock())

    def _dismiss(self, team: Team) -> None:
        """The front is gone: so is all its workers could do."""
        pool, lead, now = team.pool, self._master.lead.pool, self._master.clock()
        if pool.stops == 0:
            pool.ending = None
            # A front that could not start was told nothing, and leaves all the time there is.
            left_s = max(min(self._master.stop_by - now, pool.timing.graceful_s), pool.timing.hurry_s)
            pool.timing = pool.timing._replace(graceful_s=left_s, drain_delay_s=0.0)
        while pool.stops < max(lead.stops, 1):
            pool.on_stop(now)
