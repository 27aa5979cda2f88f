"""The request timeout of a worker: what the sentinel (`exchange.sentinel`) is given to know and whom it tells.

Lives here: the translation from configuration and log. Nothing when there is no such timeout, which is the default:
then no thread is started, and an application that runs inline is called on the main one.
"""

from __future__ import annotations

from drawbar.exchange.sentinel import Sentinel
from drawbar.net.reactor import Reactor
from drawbar.supervisor.worker.site import Site
from drawbar.supervisor.worker.stacks import CALL_STACK_SIGNAL


def watch_requests(site: Site, reactor: Reactor) -> Sentinel | None:
    """Has the requests of `reactor` answered in time from now on, when the operator wants that."""
    seconds = site.config.timeouts.request
    stacks = site.stacks
    if not seconds or stacks is None:
        return None
    logs = site.log.writes("error")
    sentinel = Sentinel(
        reactor,
        seconds,
        look=stacks.look,
        tell=stacks.tell,
        server_header=site.config.server.server_header,
        report_fd=site.report_fd,
        log_fd=stacks.fd if logs else -1,
        dump_signal=CALL_STACK_SIGNAL if logs else 0,
    )
    sentinel.start()
    return sentinel
