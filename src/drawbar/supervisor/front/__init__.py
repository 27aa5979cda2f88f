"""A front as a process: from its configuration to a reactor that serves the site and the API.

Lives here: what stands between the master and `drawbar.pull`. Loads no application.
"""
