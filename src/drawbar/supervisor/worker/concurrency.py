"""How calls of an application run beside each other: what the operator asked for, and what comes of it.

Lives here: the decision over settings and interface, in words and numbers, and the one thing that must be done before
an application is imported. Who then makes the calls are the executors; `serve_wsgi` and `serve_asgi` set them up.
"""

from typing import Literal

from drawbar.config import AppConfig, OperatorError, ThreadRange

Model = Literal["inline", "threads", "tasks", "greenlets", "fork"]

OF_WSGI: tuple[Model, ...] = ("inline", "threads", "greenlets", "fork")
OF_ASGI: tuple[Model, ...] = ("tasks",)


def model_of(app: AppConfig, interface: str) -> Model:
    """The model that `interface` ("wsgi", or "asgi") is called by; raises OperatorError when it has no such one."""
    if app.concurrency == "auto":
        if interface == "asgi":
            return "tasks"
        return "inline" if app.threads.is_inline else "threads"
    fitting = OF_ASGI if interface == "asgi" else OF_WSGI
    if app.concurrency not in fitting:
        raise OperatorError(
            f"{app.concurrency} cannot call an application of {interface.upper()}",
            where="app.concurrency",
            right=f"write {', '.join(fitting[:-1]) + ' or ' if fitting[1:] else ''}{fitting[-1]}, or leave it auto",
        )
    return app.concurrency


def thread_range(app: AppConfig) -> ThreadRange:
    """How many threads of a worker call the application: those asked for, as far as calls at once go."""
    most = app.threads.maximum
    if app.max_concurrency:
        most = min(most, app.max_concurrency)
    return ThreadRange(min(app.threads.minimum, most), most)


def calls_at_once(app: AppConfig, model: Model) -> int:
    """The calls of one worker that may run at once; 0 is no limit but that of connections."""
    if model == "inline":
        return 1
    if model == "threads":
        return thread_range(app).maximum
    if model == "fork":
        return app.max_concurrency or app.threads.maximum
    return app.max_concurrency


def describe(app: AppConfig, interface: str) -> str:
    """The model in words: "threads 1:8", "tasks", "greenlets, 100 at once". `interface` is "" when it is not known."""
    model = model_of(app, interface or ("asgi" if app.concurrency == "tasks" else "wsgi"))
    if model == "inline":
        return model
    if model == "threads":
        return f"threads {thread_range(app)}"
    most = calls_at_once(app, model)
    return f"{model}, {most} at once" if most else model


def prepare(app: AppConfig) -> None:
    """To be called before the application is imported, in every process that imports it, and never in the master.

    With greenlets, what blocks in the standard library is replaced by what lets others run meanwhile: modules that are
    imported later find only that. Raises OperatorError when gevent is missing.
    """
    if app.concurrency == "greenlets":
        from drawbar.supervisor.worker import serve_greenlets

        serve_greenlets.patch()
