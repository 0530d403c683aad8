"""A landing folder of 100,000 objects. moto sorts all keys for each page, so a smaller server gives the pages here."""

from __future__ import annotations

import bisect
import itertools
import threading
import time
import tracemalloc
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any
from xml.sax.saxutils import escape

import boto3
import pytest
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from jobs.runtime.s3_storage import S3Storage

_PAGE = 1_000
KEYS = sorted(f"landing/x/day={number % 97:02d}/part {number:06d} ü+%:.csv" for number in range(100_000))
_ENTRY = (
    "<Contents><Key>{key}</Key><LastModified>2026-11-22T12:00:00.000Z</LastModified>"
    "<ETag>&quot;9a0364b9e99bb480dd25e1f0284c8555&quot;</ETag><Size>7</Size></Contents>"
)


class _Quiet(WSGIRequestHandler):
    def log(self, *_: object, **__: object) -> None:
        """Say nothing."""


def _page(environ: Any, start_response: Callable[..., Any]) -> Any:
    """Answer ListObjectsV2 as its reference says: a thousand keys, URL-encoded, and a token for the rest."""
    arguments = Request(environ).args
    start = bisect.bisect_right(KEYS, arguments.get("continuation-token", ""))
    keys = KEYS[start : start + _PAGE]
    more = start + _PAGE < len(KEYS)
    entries = "".join(_ENTRY.format(key=escape(urllib.parse.quote(key, safe="/"))) for key in keys)
    token = f"<NextContinuationToken>{escape(keys[-1])}</NextContinuationToken>" if more else ""
    body = (
        f"<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>{str(more).lower()}</IsTruncated>"
        f"{token}{entries}</ListBucketResult>"
    )
    return Response(body, content_type="application/xml")(environ, start_response)


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = make_server("127.0.0.1", 0, _page, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_hundred_thousand_objects_are_listed_page_by_page(endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    session = boto3.Session(aws_access_key_id="x", aws_secret_access_key="y", region_name="us-east-1")
    storage = S3Storage(session.client("s3", endpoint_url=endpoint), "bucket", "")
    began = time.monotonic()
    assert [item.key for item in storage.list("landing/x/")] == KEYS
    seconds = time.monotonic() - began
    tracemalloc.start()
    listing = itertools.islice(storage.list("landing/x/"), 20_000)
    held = [tracemalloc.get_traced_memory()[0] for at, _ in enumerate(listing) if at % 5_000 == 4_999]
    tracemalloc.stop()
    assert max(held[1:]) < held[0] + (2 << 20)  # a page at a time is held, not the folder
    with capsys.disabled():
        print(f"\n  100,000 objects listed in {seconds:.1f} s, {len(KEYS) // _PAGE} requests")
