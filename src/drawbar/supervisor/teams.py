"""The teams of a master: the one that listens for clients, and one for each application that runs behind it."""

from collections.abc import Iterator

from drawbar.supervisor.pool import Worker
from drawbar.supervisor.team import Team


class Teams:
    """All teams, the lead first. The lead is there as long as the master."""

    def __init__(self, lead: Team) -> None:
        self.lead = lead
        self._others: list[Team] = []

    def __iter__(self) -> Iterator[Team]:
        return iter((self.lead, *self._others))

    @property
    def apps(self) -> list[Team]:
        """Those behind the lead."""
        return list(self._others)

    def of(self, app: str, label: str | None = None) -> Team | None:
        """The team of that application and version."""
        return next((team for team in self._others if (team.app, team.label) == (app, label)), None)

    def of_app(self, app: str) -> Team | None:
        """A team of that application, of whatever version; one that is not about to end, if there is one."""
        found = [team for team in self._others if team.app == app]
        return next((team for team in found if team.pool.ending is None), found[0] if found else None)

    def find(self, pid: int) -> tuple[Team, Worker] | None:
        """Whose worker a process is."""
        for team in self:
            worker = team.pool.find(pid)
            if worker is not None:
                return team, worker
        return None

    def workers(self) -> Iterator[tuple[Team, Worker]]:
        """All workers, team by team."""
        return ((team, worker) for team in self for worker in team.pool.workers)

    def with_fork_server(self, pid: int) -> Team | None:
        """Whose fork server a process is, in use or to come."""
        return next((team for team in self if team.nursery.has(pid)), None)

    def add(self, team: Team) -> Team:
        """One more behind the lead."""
        self._others.append(team)
        self._note_peers()
        return team

    def remove(self, team: Team) -> None:
        """One of those has come to its end."""
        team.close()
        self._others.remove(team)
        self._note_peers()

    def _note_peers(self) -> None:
        for team in self._others:
            team.has_peer = sum(other.app == team.app for other in self._others) > 1

    def descriptors(self) -> list[int]:
        """The ways to those that take orders, which no other child shall hold."""
        return [descriptor for team in self for descriptor in team.crew.descriptors()]

    def close(self) -> None:
        """Ends what is no worker."""
        for team in self:
            team.close()
