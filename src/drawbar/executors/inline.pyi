"""Types of the native module `inline`."""

from drawbar.exchange.exchange import Executor

class InlineExecutor(Executor): ...
