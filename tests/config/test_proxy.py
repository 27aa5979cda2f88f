"""Whose word is taken."""

from drawbar.config import ProxyConfig


def test_a_proxy_speaks_one_dialect() -> None:
    assert list(ProxyConfig(headers=("forwarded",)).conflicts()) == []
    (conflict,) = ProxyConfig(headers=("forwarded", "x-forwarded-for")).conflicts()
    assert conflict.fields == ("headers",)
