"""`drawbar import`: other servers' settings as a drawbar.toml, and what of them has no counterpart.

Lives here: a module for each server, with its settings as a table of rules, and the readers of the forms they are
written in. Law: nothing that was said is dropped in silence. Each setting is taken over, or stands in a comment at the
end with what to do instead. What is printed is a valid drawbar.toml, whatever was read.
"""

from drawbar.cli.importing.translate import KINDS, translate

__all__ = ["KINDS", "translate"]
