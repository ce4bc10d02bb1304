"""Yahoo Finance on loopback, for the real yfinance client.

The stub is an HTTPS proxy: the client asks it to CONNECT to query2.finance.yahoo.com and gets the stub
itself, with a certificate made for the purpose. So the client runs unchanged, with HTTPS_PROXY and
REQUESTS_CA_BUNDLE in the environment, the way it does behind a company's proxy.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit
from zlib import crc32

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOSTS = [
    "fc.yahoo.com",
    "guce.yahoo.com",
    "consent.yahoo.com",
    "finance.yahoo.com",
    "*.finance.yahoo.com",
]
OPEN = timedelta(hours=14, minutes=30)  # UTC, New York in winter
NOT_FOUND = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
BROKEN = {
    "chart": {
        "result": None,
        "error": {"code": "Internal", "description": "looks like a delisting"},
    }
}
COOKIE = "A3=stub; Domain=.yahoo.com; Path=/; Max-Age=31536000; Secure"


class YahooStub:
    """Serves daily rows of every weekday for the tickers it knows.

    Attributes:
        known: ticker -> (first, last) day it trades, ISO dates.
        closed: ticker -> days on which it has a row without values.
        empty: tickers all of whose values are null.
        failing: ticker -> [status, how many more requests answer with it].
        retry_after: seconds the header Retry-After says with a failing status.
        history: how often the rows of a ticker were asked for.
        hits: how many requests came in all.
    """

    def __init__(self, directory: Path) -> None:
        self.known = dict.fromkeys(("AAPL", "MSFT", "SPY", "^VIX"), ("2000-01-01", "2100-01-01"))
        self.closed: dict[str, set[str]] = {}
        self.empty: set[str] = set()
        self.failing: dict[str, list[int]] = {}
        self.retry_after: int | None = None
        self.history: Counter[str] = Counter()
        self.hits = 0
        self.lock = threading.Lock()
        self.authority = directory / "authority.pem"
        self.server = Server(self, _tls(directory, self.authority))

    @property
    def environment(self) -> dict[str, str]:
        """What makes the client come here."""
        return {
            "HTTPS_PROXY": f"http://127.0.0.1:{self.server.server_port}",
            "REQUESTS_CA_BUNDLE": str(self.authority),
        }

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, host: str, path: str, query: dict[str, list[str]]) -> tuple[int, str]:
        """Status and body for one request."""
        with self.lock:
            self.hits += 1
        if path.endswith("/getcrumb"):
            return 200, "stubcrumb"
        if path.startswith("/v8/finance/chart/"):
            return self._chart(unquote(path.rsplit("/", 1)[1]), query)
        return (
            (200, "<html></html>") if host.startswith("guce.") else (404, "<html>not here</html>")
        )

    def _chart(self, ticker: str, query: dict[str, list[str]]) -> tuple[int, str]:
        with self.lock:
            self.history[ticker] += "period1" in query
            failing = self.failing.get(ticker, [0, 0])
            if failing[1] > 0:
                failing[1] -= 1
                return failing[0], "Too Many Requests" if failing[0] == 429 else json.dumps(BROKEN)
        if ticker not in self.known:
            return 404, json.dumps({"chart": {"result": None, "error": NOT_FOUND}})
        return 200, json.dumps({"chart": {"result": [self._result(ticker, query)], "error": None}})

    def _result(self, ticker: str, query: dict[str, list[str]]) -> dict[str, Any]:
        meta = {
            "symbol": ticker,
            "instrumentType": "EQUITY",
            "currency": "USD",
            "exchangeTimezoneName": "America/New_York",
            "validRanges": ["1d", "max"],
        }
        days = self._days(ticker, query)
        prices = [None if self._is_null(ticker, day) else _price(ticker, day) for day in days]
        adjusted = [
            None if one is None else one * 0.9 + 1e-9 * self.history[ticker] for one in prices
        ]
        quote: dict[str, list[Any]] = dict.fromkeys(("open", "high", "low", "close"), prices)
        quote["volume"] = [None if one is None else int(one * 1000) % 977 + 1 for one in prices]
        if not days:
            return {"meta": meta, "indicators": {"quote": [{}]}}
        stamps = [int((day + OPEN).timestamp()) for day in days]
        return {
            "meta": meta,
            "timestamp": stamps,
            "indicators": {"quote": [quote], "adjclose": [{"adjclose": adjusted}]},
        }

    def _days(self, ticker: str, query: dict[str, list[str]]) -> list[datetime]:
        """Weekdays from period1 to period2 on which the ticker trades; the first one without a period."""
        first, last = (
            datetime.fromisoformat(one).replace(tzinfo=UTC) for one in self.known[ticker]
        )
        start = datetime.fromtimestamp(int(query.get("period1", ["1577880000"])[0]), UTC)
        end = datetime.fromtimestamp(int(query.get("period2", ["1577970000"])[0]), UTC)
        day = max(first, start.replace(hour=0, minute=0, second=0))
        days = [
            day + timedelta(days=n) for n in range(max((min(end, last + OPEN) - day).days + 1, 0))
        ]
        return [day for day in days if day.weekday() < 5 and start <= day + OPEN < end]

    def _is_null(self, ticker: str, day: datetime) -> bool:
        return ticker in self.empty or f"{day:%Y-%m-%d}" in self.closed.get(ticker, ())


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, stub: YahooStub, tls: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.stub, self.tls = stub, tls

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_CONNECT(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.close_connection = False

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        status, body = self.server.stub.answer(
            self.headers["Host"], parts.path, parse_qs(parts.query)
        )
        content = body.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Set-Cookie", COOKIE)
        if status >= 429 and self.server.stub.retry_after is not None:
            self.send_header("Retry-After", str(self.server.stub.retry_after))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def _price(ticker: str, day: datetime) -> float:
    """A price that moves in its own way, the same for every request."""
    return 50.0 + crc32(f"{ticker} {day.toordinal()}".encode()) % 1000 / 100.0


def _tls(directory: Path, authority: Path) -> ssl.SSLContext:
    """A server's TLS settings, with a certificate from an authority that clients can be told to trust."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _certificate("stub authority", root_key, "stub authority", root_key)
    leaf = _certificate("stub", key, "stub authority", root_key, HOSTS)
    authority.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    chain = directory / "server.pem"
    chain.write_bytes(private + leaf.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return context


def _certificate(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    signer: ec.EllipticCurvePrivateKey,
    hosts: Sequence[str] = (),
) -> x509.Certificate:
    """A certificate of two days: of an authority, or of a server where hosts are given."""
    issued, named = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in (issuer, subject)
    )
    now, day = datetime.now(UTC), timedelta(days=1)
    builder = (
        x509.CertificateBuilder()
        .issuer_name(issued)
        .subject_name(named)
        .public_key(key.public_key())
    )
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - day).not_valid_after(now + day)
    builder = builder.add_extension(
        x509.BasicConstraints(ca=not hosts, path_length=None), critical=True
    )
    if hosts:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        builder = builder.add_extension(alternatives, critical=False)
    return builder.sign(signer, hashes.SHA256())
