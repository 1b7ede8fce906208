"""The page at ``/``: which log this is, what it holds, and how to check that without trusting it.

Everything that came from outside is escaped by jinja2; the page loads nothing and runs nothing (its
Content-Security-Policy allows the one style below, by its hash).
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import Final

from jinja2 import Environment, StrictUndefined

from dataseal.ledger.log import Log

NEWEST: Final = 20
"""Entries shown."""

_STYLE: Final = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 3rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 2.25rem 0 .5rem; }
.what { opacity: .75; margin: 0 0 1.5rem; }
code, pre, td.mono, dd { font-family: ui-monospace, monospace; font-size: .875rem; }
dl { display: grid; grid-template-columns: 8rem 1fr; gap: .35rem 1rem; margin: 0; }
dt { opacity: .75; } dd { margin: 0; overflow-wrap: anywhere; }
pre { padding: .9rem 1rem; border: 1px solid var(--line); border-radius: 6px; overflow-x: auto; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .4rem .9rem .4rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 600; font-size: .875rem; } td.number { text-align: right; }
"""

CSP: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'"
)

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ origin }} · dataseal ledger</title>
<style>{{ style | safe }}</style>
</head>
<body>
<h1>{{ origin }}</h1>
<p class="what">An append-only ledger of signed dataset releases and changes.</p>
<dl>
<dt>size</dt><dd>{{ size }} {{ "entry" if size == 1 else "entries" }}</dd>
<dt>root</dt><dd>{{ root or "none yet" }}</dd>
<dt>verifier key</dt><dd>{{ vkey }}</dd>
<dt>witnesses</dt><dd>{{ witnesses }}</dd>
</dl>

<h2>Newest entries</h2>
{% if entries %}
<div class="wide"><table>
<thead><tr><th>#</th><th>logged</th><th>kind</th><th>dataset</th><th>signer</th></tr></thead>
<tbody>
{% for entry in entries %}
<tr><td class="number">{{ entry.index }}</td><td>{{ entry.logged_at }}</td><td>{{ entry.kind }}</td>
<td>{{ entry.dataset }}@{{ entry.version }}</td><td class="mono">{{ entry.signer[:16] }}</td></tr>
{% endfor %}
</tbody>
</table></div>
{% else %}
<p>None yet.</p>
{% endif %}

<h2>Don’t trust this page</h2>
<p>Get the verifier key from somebody you trust, not from here. Then a downloaded dataset is checked without this
server, by the proofs that travel with it:</p>
<pre>dataseal verify PATH --publisher publisher.pub --log '{{ vkey }}'</pre>
<p>And the whole log, entry by entry, with that key under <code>[ledger]</code> of <code>dataseal.toml</code>:</p>
<pre>dataseal ledger check --ledger URL</pre>
<p>Any C2SP <a href="https://c2sp.org/tlog-tiles">tlog-tiles</a> client reads it too:
<a href="checkpoint">checkpoint</a>, <code>tile/&lt;L&gt;/&lt;N&gt;</code>, <code>tile/entries/&lt;N&gt;</code>.</p>
</body>
</html>
"""

_TEMPLATE: Final = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(_PAGE)


def render(log: Log) -> str:
    """The page."""
    with log.store.view() as view:
        head = log.publishable(view)
        entries = list(view.entries(max(0, head.size - NEWEST), head.size))[::-1]
    checked = log.quorum.check(head) if head.size else None
    known = len(log.quorum.policy.witnesses)
    return _TEMPLATE.render(
        witnesses=f"{checked.witnesses_seen if checked else 0}/{known}",
        origin=log.origin,
        vkey=log.vkey,
        size=head.size,
        root=head.root.hex() if head.size else None,
        entries=entries,
        style=_STYLE,
    )
