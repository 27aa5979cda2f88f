"""Certificates and keys in PEM, for TLS; and what is wrong with such a file, in words that say what to do.

OpenSSL is asked first, and what it takes is right. It does not say which file it means, nor what that holds in place of
what it wants: only when it has refused are the files looked at. Nothing of a key is ever told.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from drawbar.config import OperatorError

if TYPE_CHECKING:
    import ssl

MOST_BYTES: Final = 16 * 1024 * 1024
"""Of a file are looked at: many times all authorities of the world, and less than a disk put there by mistake."""
LABEL: Final = re.compile(rb"-----BEGIN ([A-Z0-9 #]+)-----")
"""RFC 7468 section 2: the line before what is encoded."""
CERTIFICATES: Final = ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE")
MISMATCHES: Final = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")
"""OpenSSL's names for a key of another certificate; the last one where they are of different kinds."""
WEAK: Final = ("EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK", "MD_TOO_WEAK")


class Named(NamedTuple):
    """A file, and the option that names it. path: None where it is left to its default."""

    option: str
    path: str | None

    def unusable(self, why: str, right: str) -> OperatorError:
        """What is wrong with it, and what would be right."""
        return OperatorError(f"{self.path} cannot be used: {why}", where=self.option, right=right)


class _Locked(ValueError):
    """OpenSSL has asked for a password."""


def load_pair(context: ssl.SSLContext, certificate: Named, key: Named) -> None:
    """The certificate that is shown, with its key, which is in the same file when it has none. Raises OperatorError."""
    assert certificate.path is not None, "a certificate has a file"
    try:
        context.load_cert_chain(certificate.path, key.path, password=_no_password)
    except (OSError, ValueError) as error:
        raise why_not_pair(certificate, key, error) from error


def load_authorities(context: ssl.SSLContext, authorities: Named) -> None:
    """Those who vouch for what others show. Raises OperatorError."""
    try:
        context.load_verify_locations(authorities.path)
    except OSError as error:
        raise why_not_authorities(authorities, error) from error
    if not context.cert_store_stats()["x509"]:
        raise authorities.unusable("it has no certificate, but lists of revoked ones", _RIGHT_AUTHORITIES)


_RIGHT_AUTHORITIES: Final = "put the certificates of those who vouch into it, in PEM"


def why_not_authorities(authorities: Named, error: Exception) -> OperatorError:
    """What made OpenSSL refuse these certificates."""
    text, mistake = _text(authorities)
    return (
        mistake
        or _without(authorities, text, "certificate", _RIGHT_AUTHORITIES)
        or authorities.unusable("a certificate in it is damaged or cut off", _RIGHT_AUTHORITIES)
    )


def why_not_pair(certificate: Named, key: Named, error: Exception) -> OperatorError:
    """What made OpenSSL refuse this certificate and key."""
    both = key.path is None or key.path == certificate.path
    holder = certificate if key.path is None else key
    text, mistake = _text(certificate)
    mistake = mistake or _without(certificate, text, "certificate", "put the certificate into it, in PEM")
    if mistake is None and not both:
        key_text, mistake = _text(key)
        right = f"put the private key of {certificate.path} into it, in PEM"
        mistake = mistake or _without(key, key_text, "private key", right)
    elif mistake is None:
        right = f"name the file of the key with {key.option}, or put the key into this one"
        mistake = _without(certificate, text, "private key", right)
    return mistake or _why_not_together(certificate, holder, text, error)


def _why_not_together(certificate: Named, holder: Named, text: bytes, error: Exception) -> OperatorError:
    """There are a certificate and a key. holder: of the key."""
    reason = str(getattr(error, "reason", None) or "")
    if isinstance(error, _Locked):
        right = f"openssl pkey -in {holder.path} -out FILE writes it without one"
        return holder.unusable("the key has a password, and nobody is there to be asked for it", right)
    if reason in MISMATCHES:
        of = (
            "its first certificate"
            if holder.path == certificate.path
            else f"the first certificate in {certificate.path}"
        )
        right = "name the key that this certificate was made for; those that vouch for it come after it"
        return holder.unusable(f"the key does not belong to {of}", right)
    if reason in WEAK:
        right = "make one with a key of 2,048 bits (RSA) or 256 (EC) and SHA-256, at least"
        return certificate.unusable(f"it is too weak for OpenSSL ({_plain(reason)})", right)
    if not _parses(text):
        return certificate.unusable("a certificate in it is damaged or cut off", "write the file anew")
    if not reason or reason == "PEM_LIB":
        return holder.unusable("the private key in it is damaged or cut off", "write the file anew")
    return certificate.unusable(f"OpenSSL refuses it ({_plain(reason)})", "write a certificate and its key, in PEM")


def why_unreadable(named: Named, error: OSError) -> OperatorError:
    """The file cannot even be read."""
    if isinstance(error, PermissionError):
        who = _user()
        return named.unusable(f"{who} may not read it", f"let {who} read the file and enter the directories above it")
    if isinstance(error, IsADirectoryError):
        return named.unusable("it is a directory", "name the file in it")
    return named.unusable(str(error.strerror or error), "name a file in PEM that the user of the process can read")


def _text(named: Named) -> tuple[bytes, OperatorError | None]:
    """What is in the file; and why there is nothing of use in it."""
    try:
        with open(named.path or "", "rb") as file:
            text = file.read(MOST_BYTES)
    except OSError as error:
        return b"", why_unreadable(named, error)
    if not text.strip():
        return text, named.unusable("it is empty", "put into it what it is named for, in PEM")
    if LABEL.search(text):
        return text, None
    if text.startswith(b"\x30"):
        # X.690: the tag of a sequence, which all of them are.
        right = "openssl x509, openssl pkey and openssl pkcs12 make PEM of them"
        return text, named.unusable("it is no PEM but binary, as DER and PKCS #12 are", right)
    return text, named.unusable("it is no PEM, as it has no line -----BEGIN ...-----", "put into it what begins so")


def _without(named: Named, text: bytes, wanted: str, right: str) -> OperatorError | None:
    """It has no such thing, but another one."""
    labels = list(dict.fromkeys(label.decode("ascii") for label in LABEL.findall(text)))
    has_key = any(label.endswith("PRIVATE KEY") for label in labels)
    if has_key if wanted == "private key" else any(label in CERTIFICATES for label in labels):
        return None
    return named.unusable(f"it has no {wanted}, only {' and '.join(map(str.lower, labels))}", right)


def _parses(text: bytes) -> bool:
    """Each certificate in it can be read."""
    import ssl  # somebody has loaded it: a certificate was refused

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text.decode("ascii", "replace"))
    except ssl.SSLError:
        return False
    return True


def _plain(reason: str) -> str:
    return reason.replace("_", " ").lower()


def _user() -> str:
    import pwd  # for a mistake only

    try:
        return f"the user {pwd.getpwuid(os.geteuid()).pw_name}"
    except KeyError:
        return f"the user {os.geteuid()}"


def _no_password() -> NoReturn:
    raise _Locked
