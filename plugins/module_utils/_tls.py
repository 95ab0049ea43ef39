# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a server's certificate is verified, wherever the collection opens TLS: as kubectl, Helm and Prometheus do it."""

from __future__ import annotations

import ssl


def verify_as_go(context: ssl.SSLContext) -> ssl.SSLContext:
    """The context, which now accepts the chains that Go accepts (crypto/x509/verify.go).

    Host name, signatures, dates, and whether a signer is a CA, are checked as before.
    Python 3.13 and urllib3 2.4 set VERIFY_X509_STRICT, which refuses a CA without key usage and certificates without an authority key
    identifier; the CAs of EKS and of older clusters are like that. And Go trusts every certificate that it is given as a CA, also one that
    another CA has signed, which OpenSSL does with VERIFY_X509_PARTIAL_CHAIN only.
    """
    context.verify_flags = (context.verify_flags & ~ssl.VERIFY_X509_STRICT) | ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
