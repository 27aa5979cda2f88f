"""`drawbar ctl` and `drawbar top`: a running server asked, told, and watched from a terminal.

`client` talks to the control socket, `show` and `screen` turn its answers into text, `ctl` and `top` are the commands.
"""
