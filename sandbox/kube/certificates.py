"""A certificate authority and a server certificate for the loopback, made anew at each start."""

import ssl
from dataclasses import dataclass

import trustme


@dataclass(frozen=True, slots=True)
class Certificates:
    """The authority's certificate (PEM) and a context that serves with a certificate of that authority."""

    authority: bytes
    server_context: ssl.SSLContext


def issue() -> Certificates:
    """kubectl sends a bearer token over TLS only, so even a loopback server needs these."""
    authority = trustme.CA(organization_name="sandbox")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return Certificates(authority.cert_pem.bytes(), context)
