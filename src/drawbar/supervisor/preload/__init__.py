"""Workers forked from a process that has loaded the application already, which the master never does.

Lives here: both sides of a fork server, what they say to each other, and how a worker becomes one. Must not know the
master: which worker is wanted when is decided by the pool. `forking` is what runs in a fork server, and is imported
there alone; what is served then stands in `worker`.
"""
