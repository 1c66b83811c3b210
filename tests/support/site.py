"""The museum's own site, on a port of this machine: a page of others, with the one line that shows an assistant."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Harbour Museum</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
  body {{ margin: 0; font: 1.0625rem/1.6 Georgia, serif; color: #16324a; background: #f4f7f9; }}
  header {{ display: flex; flex-wrap: wrap; justify-content: space-between; gap: .5rem 2rem; padding: 1.5rem 2.5rem; }}
  header {{ background: #16324a; color: #fff; }}
  header b {{ font-size: 1.375rem; }}
  nav {{ display: flex; flex-wrap: wrap; gap: .25rem 1.75rem; }}
  main {{ max-width: 40rem; padding: 2.5rem; }}
  h1 {{ margin: 0; font-size: 2.5rem; line-height: 1.15; }}
  dl {{ display: grid; grid-template-columns: 8rem 1fr; gap: .4rem 1rem; }}
  dt {{ font-weight: bold; }}
  dd {{ margin: 0; }}
</style></head>
<body>
<header><b>Harbour Museum</b>
  <nav><span>Visit</span><span>Exhibitions</span><span>Schools</span><span>Shop</span></nav>
</header>
<main>
  <h1>Two hundred years of a port</h1>
  <p>More than 4,200 objects, from the pilots' oilskins to the oldest lighthouse lamp of the country.</p>
  <dl><dt>Open</dt><dd>Tuesday to Saturday, 10:00 to 17:30</dd><dt>Tickets</dt><dd>11 euros, children 4 euros</dd>
  <dt>Tours</dt><dd>Every day at 14:00</dd></dl>
</main>
{line}
</body></html>
"""


class Site(http.server.ThreadingHTTPServer):
    """
    :ivar url: its origin.
    :ivar line: what somebody has put into its page.
    """

    line = ""

    def __init__(self) -> None:
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(PAGE.format(line=site.line).encode())

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


@contextlib.contextmanager
def serving() -> Iterator[Site]:
    """The site, for as long as it is needed."""
    site = Site()
    threading.Thread(target=site.serve_forever, daemon=True).start()
    try:
        yield site
    finally:
        site.shutdown()
        site.server_close()
