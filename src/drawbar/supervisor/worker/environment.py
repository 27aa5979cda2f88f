"""The variables a worker has in its environment, set before any code of the application runs."""

import os
import time
from collections.abc import Iterable

from drawbar.config.variables import Variable


def enter_environment(variables: Iterable[Variable]) -> None:
    """Sets them in this process. What the C library had read before the process was forked it reads again (TZ)."""
    for variable in variables:
        os.environ[variable.name] = variable.value
        if variable.name == "TZ":
            time.tzset()
