"""TLS of the API, from the configuration."""

import ssl
from pathlib import Path

import pytest

from drawbar.config import OperatorError
from drawbar.config.api import ApiConfig
from drawbar.supervisor.front.certificates import make_context
from tests.support.front import Authority


def test_without_a_certificate_there_is_no_tls() -> None:
    assert make_context(ApiConfig()) is None


def test_workers_show_a_certificate_where_somebody_vouches_for_it(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = map(str, authority.issue("front"))
    context = make_context(ApiConfig(cert_file=certificate, key_file=key))
    assert context is not None
    assert (context.verify_mode, context.minimum_version) == (ssl.CERT_NONE, ssl.TLSVersion.TLSv1_2)
    context = make_context(ApiConfig(cert_file=certificate, key_file=key, client_ca_file=str(authority.ca)))
    assert context is not None
    assert context.verify_mode == ssl.CERT_REQUIRED


def test_a_mistake_names_the_option_of_its_file(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = map(str, authority.issue("front"))
    other = str(authority.issue("other")[1])
    for api, option in (
        (ApiConfig(cert_file=key, key_file=key), "--api-cert-file"),
        (ApiConfig(cert_file=certificate, key_file=other), "--api-key-file"),
        (ApiConfig(cert_file=certificate, key_file=key, client_ca_file=key), "--api-client-ca"),
    ):
        with pytest.raises(OperatorError) as told:
            make_context(api)
        assert told.value.where == option
