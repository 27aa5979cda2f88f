"""A server without a queue: nothing to order of applications' requests, and no deploys.

It stands in the places of `front.app_orders` and `front.deploys` where workers take requests themselves, so that such a
server need not hold those in memory.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn

from drawbar.supervisor.control.desk import Command
from drawbar.supervisor.control.status import DeployRecord
from drawbar.supervisor.pool import Ending
from drawbar.supervisor.refused import Refused
from drawbar.supervisor.team import Team

if TYPE_CHECKING:
    from drawbar.supervisor.versions import Past


class Queueless:
    """What a master has for deploys and for orders about applications when it has no front."""

    former: Mapping[str, "Past"] = {}

    def follow(self, command: Command) -> NoReturn:
        """Raises Refused."""
        why = "this server has no queue: its workers take requests themselves; `run --split` and `serve` have one"
        raise Refused(why, "conflict")

    def require_rest(self, by: str, *, of_own: bool = False, of_app: str | None = None) -> None:
        """No deploy is under way."""

    def records(self) -> list[DeployRecord]:
        """For the status: none."""
        return []

    def on_team_over(self, team: Team, ending: Ending) -> bool:
        """A team that has ended is no deploy's affair."""
        return False

    def on_relabelled(self, app: str) -> None:
        """There are no shares that could be void."""

    def wake_at(self) -> float:
        """Nothing is ever due."""
        return float("inf")

    def look_after(self, now: float) -> None:
        """Nothing waits."""
