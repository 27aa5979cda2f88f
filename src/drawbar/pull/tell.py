"""How a call that raises a Problem is answered, whenever it does."""

from collections.abc import Callable
from typing import ParamSpec

from drawbar.pull.call import Call
from drawbar.pull.problem import Problem

P = ParamSpec("P")


def tell(call: Call, problem: Problem) -> None:
    """Answers a call by a problem. HEAD gets its head."""
    if not call.is_over:
        call.respond(problem.status, problem.head(), problem.body())


def guarded(call: Call, function: Callable[P, object]) -> Callable[P, None]:
    """`function`, of which a Problem answers the call."""

    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except Problem as problem:
            tell(call, problem)

    return run
