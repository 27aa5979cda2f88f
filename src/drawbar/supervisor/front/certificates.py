"""The certificates of a front's API: TLS as the configuration has it. A front reads them, and `drawbar check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

    from drawbar.config.api import ApiConfig


def make_context(api: ApiConfig) -> ssl.SSLContext | None:
    """TLS as the configuration has it, read anew by each front; None without. Raises OperatorError."""
    if api.cert_file is None:
        return None
    import ssl  # only who has a certificate needs these: some 4 MB

    from drawbar.supervisor import pem

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # RFC 8996: older ones "MUST NOT be used".
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # RFC 5746 section 5: nobody who attaches needs to negotiate again.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    pem.load_pair(context, pem.Named("--api-cert-file", api.cert_file), pem.Named("--api-key-file", api.key_file))
    if api.client_ca_file is not None:
        pem.load_authorities(context, pem.Named("--api-client-ca", api.client_ca_file))
        context.verify_mode = ssl.CERT_REQUIRED
    return context
