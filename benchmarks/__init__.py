"""Drawbar measured against its neighbours: what it costs per request, per connection and per process.

Nothing in the package imports this; it drives servers from outside, as programs. Standard library only, so that it
runs in any environment that holds the servers to compare. How to run and read it: docs/benchmarks.md.
"""
