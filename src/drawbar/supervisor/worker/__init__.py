"""A worker: what it does between fork and exit, on whatever kind of loop serves its application.

Lives here: a worker's life, what it is made of, a loop for each model of concurrency, and what it does beside serving.
Must not know the master or the pool: a worker hears signals, reports by lines on a pipe and counts in its cell of the
scoreboard. Who forks it, when, and what follows from its end is decided elsewhere.
"""
