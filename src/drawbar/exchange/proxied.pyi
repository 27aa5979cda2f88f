"""Types of the native module `proxied`."""

from drawbar.exchange.http1 import Http1Connector
from drawbar.net.listener import Connector

class ProxiedConnector(Connector):
    def __init__(self, site: Http1Connector) -> None: ...
