"""Types of the native module `times`."""

from drawbar.net.figures import Histogram

class Times:
    def figures(self) -> dict[str, Histogram]: ...
