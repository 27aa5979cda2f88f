"""What is wrong with a certificate or a key. The files are openssl's, broken here one by one."""

import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from drawbar.config import OperatorError
from drawbar.supervisor.pem import Named, load_authorities, load_pair, why_unreadable
from tests.support.front import Authority


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files by what they are; front.pem and front.key are right."""
    made = tmp_path_factory.mktemp("pem")
    Authority(made).issue("front")
    Authority(made).issue("other")

    def path(name: str) -> str:
        return str(made / name)

    (made / "directory").mkdir()
    (made / "empty").write_text("\n")
    (made / "text").write_text("no certificate\n")
    certificate, key = (made / "front.pem").read_text(), (made / "front.key").read_text()
    (made / "both").write_text(certificate + key)
    (made / "mixed").write_text(certificate + (made / "other.key").read_text())
    (made / "cut").write_text(certificate[:300])
    (made / "damaged").write_text("\n".join(key.splitlines()[:2]) + "\n-----END PRIVATE KEY-----\n")
    openssl("x509", "-in", path("front.pem"), "-outform", "DER", "-out", path("der"))
    openssl("pkey", "-in", path("front.key"), "-aes128", "-passout", "pass:secret", "-out", path("locked"))
    openssl("ec", "-in", path("front.key"), "-aes128", "-passout", "pass:secret", "-out", path("locked-ec"))
    weak = ["-newkey", "rsa:1024", "-nodes", "-keyout", path("weak.key"), "-out", path("weak.pem"), "-subj", "/CN=a"]
    openssl("req", "-x509", *weak)
    openssl("req", "-x509", *[word.replace("1024", "2048").replace("weak", "rsa") for word in weak])
    (made / "index").touch()
    (made / "settings").write_text(f"[ca]\ndefault_ca = a\n[a]\ndatabase = {path('index')}\ndefault_md = sha256\n")
    of = ["-keyfile", path("ca.key"), "-cert", path("ca.pem"), "-crldays", "1", "-config", path("settings")]
    openssl("ca", "-gencrl", *of, "-out", path("revoked"))
    return made


def told(load: Callable[[ssl.SSLContext], object]) -> str:
    with pytest.raises(OperatorError) as caught:
        load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    return str(caught.value)


def pair(folder: Path, certificate: str, key: str | None) -> tuple[Named, Named]:
    return Named("--cert", str(folder / certificate)), Named("--key", None if key is None else str(folder / key))


NO_LINE = "it is no PEM, as it has no line -----BEGIN ...-----; put into it what begins so"
EMPTY = "it is empty; put into it what it is named for, in PEM"
BINARY = (
    "it is no PEM but binary, as DER and PKCS #12 are; openssl x509, openssl pkey and openssl pkcs12 make PEM of them"
)
NOT_THERE = "No such file or directory; name a file in PEM that the user of the process can read"
NOT_ITS = "name the key that this certificate was made for; those that vouch for it come after it"
PASSWORD = "the key has a password, and nobody is there to be asked for it"


@pytest.mark.parametrize(
    ("certificate", "key", "option", "named", "why"),
    [
        ("nothing", "front.key", "--cert", "nothing", NOT_THERE),
        ("front.pem", "nothing", "--key", "nothing", NOT_THERE),
        ("directory", "front.key", "--cert", "directory", "it is a directory; name the file in it"),
        ("front.pem", "directory", "--key", "directory", "it is a directory; name the file in it"),
        ("empty", "front.key", "--cert", "empty", EMPTY),
        ("front.pem", "empty", "--key", "empty", EMPTY),
        ("text", "front.key", "--cert", "text", NO_LINE),
        ("front.pem", "text", "--key", "text", NO_LINE),
        ("der", None, "--cert", "der", BINARY),
        (
            "front.key",
            "front.key",
            "--cert",
            "front.key",
            "it has no certificate, only private key; put the certificate",
        ),
        (
            "front.pem",
            "front.pem",
            "--cert",
            "front.pem",
            "it has no private key, only certificate; name the file of the",
        ),
        ("front.pem", None, "--cert", "front.pem", "it has no private key, only certificate; name the file of the key"),
        (
            "front.pem",
            "other.pem",
            "--key",
            "other.pem",
            "it has no private key, only certificate; put the private key",
        ),
        (
            "front.pem",
            "other.key",
            "--key",
            "other.key",
            "the key does not belong to the first certificate in {}/front.pem",
        ),
        (
            "front.pem",
            "rsa.key",
            "--key",
            "rsa.key",
            "the key does not belong to the first certificate in {}/front.pem",
        ),
        ("mixed", None, "--cert", "mixed", f"the key does not belong to its first certificate; {NOT_ITS}"),
        ("front.pem", "locked", "--key", "locked", f"{PASSWORD}; openssl pkey -in {{}}/locked -out FILE writes it"),
        ("front.pem", "locked-ec", "--key", "locked-ec", PASSWORD),
        ("weak.pem", "weak.key", "--cert", "weak.pem", "it is too weak for OpenSSL (ee key too small); make one with"),
        ("cut", "front.key", "--cert", "cut", "a certificate in it is damaged or cut off; write the file anew"),
        (
            "front.pem",
            "damaged",
            "--key",
            "damaged",
            "the private key in it is damaged or cut off; write the file anew",
        ),
    ],
)
def test_a_pair(folder: Path, certificate: str, key: str | None, option: str, named: str, why: str) -> None:
    said = told(lambda context: load_pair(context, *pair(folder, certificate, key)))
    assert said.startswith(f"{option}: {folder / named} cannot be used: {why.format(folder)}")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nothing", NOT_THERE),
        ("directory", "it is a directory; name the file in it"),
        ("empty", EMPTY),
        ("text", NO_LINE),
        ("der", BINARY),
        (
            "front.key",
            "it has no certificate, only private key; put the certificates of those who vouch into it, in PEM",
        ),
        (
            "revoked",
            "it has no certificate, but lists of revoked ones; put the certificates of those who vouch into it, in PEM",
        ),
        ("cut", "a certificate in it is damaged or cut off; put the certificates of those who vouch into it, in PEM"),
    ],
)
def test_authorities(folder: Path, name: str, why: str) -> None:
    said = told(lambda context: load_authorities(context, Named("--ca", str(folder / name))))
    assert said == f"--ca: {folder / name} cannot be used: {why}"


@pytest.mark.parametrize(("certificate", "key"), [("front.pem", "front.key"), ("both", None), ("both", "both")])
def test_what_is_right_is_loaded(folder: Path, certificate: str, key: str | None) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_pair(context, *pair(folder, certificate, key))
    load_authorities(context, Named("--ca", str(folder / "ca.pem")))
    assert context.cert_store_stats()["x509_ca"] == 1


def test_who_may_not_read_a_file_is_named() -> None:
    said = str(why_unreadable(Named("--key", "/a/key"), PermissionError(13, "Permission denied")))
    assert said.startswith("--key: /a/key cannot be used: ")
    assert " may not read it; let " in said
    assert said.endswith(" read the file and enter the directories above it")
