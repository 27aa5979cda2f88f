"""What every verb of `drawbar ctl` does: finds the server that is meant, and says what it did."""

from collections.abc import Mapping
from typing import Any

import click

from drawbar.cli.control.client import Client
from drawbar.cli.control.text import plain


def client_of(ctx: click.Context, app: str | None = None) -> Client:
    """The server that is meant, by an order about `app` if it is about one. Asked late: help needs none."""
    client: Client = ctx.meta["client"](app)
    return client


def say(result: Mapping[str, Any], otherwise: str) -> None:
    """What the server says it did, in its words or in ours."""
    click.echo(plain(str(result.get("message") or otherwise)))
