"""In which form the service answers: what clients accept, and how else one may ask for statistics."""

from __future__ import annotations

import re

from ..catalogue import scenario
from ..stage import Stage
from .paths import PUBLIC, V2
from .statistics import STATUS_FILE
from .statistics import V1 as STATS_V1
from .statistics import V2 as STATS_V2

EMPTY = {"Content-Length": "0"}
# Members and lines of pages that name servlets and exceptions.
OF_JAVA = re.compile(r'"(servlet|cause\d)":.*\n|^(SERVLET:|CAUSED BY)(.*\n)*', re.MULTILINE)


def told(stage: Stage, path: str, label: str, **options: object) -> None:
    """A request whose page is told without the names of servlets."""
    lines, stage.transcript.lines = stage.transcript.lines, []
    answer = stage.request(path, label=label, **options)
    lines, stage.transcript.lines = stage.transcript.lines, lines
    for line in lines:
        if line.field != f"{label}.body":
            stage.transcript.lines.append(line)
        else:
            stage.note(line.field, OF_JAVA.sub("", answer.text))


@scenario("paths/pages", "http error page", "http Accept")
def pages(stage: Stage) -> None:
    """Errors in every form that a client may like."""
    for accept in ("text/html", "text/*", "*/*", "application/json", "text/json", "text/plain", "application/xml", "", "Text/Html", "text/html;level=1", "text/html;q=0",
                   "text/html;q=0.5, application/json", "*/*, text/plain", "image/png, text/plain;q=0.1", "junk, application/json"):
        headers = {"Accept": accept}
        told(stage, f"{V2}/producer/{PUBLIC}/", f"upgrade '{accept}'", upgrade=True, headers=headers)
        told(stage, "/none-such", f"404 '{accept}'", headers=headers)
        told(stage, f"{V2}/producer/{PUBLIC}/t", f"405 '{accept}'", headers=headers)
    for method in ("PUT", "POST", "DELETE"):
        told(stage, "/none-such", method, method=method, headers={"Accept": "application/json", **EMPTY})


@scenario("paths/pages-text", "http error page", "http Accept")
def pages_text(stage: Stage) -> None:
    """What is escaped in each form, and in which charset."""
    for accept in ("text/html", "text/plain", "application/json"):
        for charset in ("", "utf-8", "*", "utf-8;q=0.5, iso-8859-1"):
            headers = {"Accept": accept} | ({"Accept-Charset": charset} if charset else {})
            for text in ("%3Cb%3E%26%22%27%5C", "%C3%A4%E2%82%AC", "a%0Ab%09"):
                told(stage, f"{V2}/producer/{PUBLIC}/t?hashingScheme={text}", f"{accept} '{charset}' {text}", upgrade=True, headers=headers)


@scenario("statistics/accepts", "stats absent topic", "http Accept")
def accepts(stage: Stage) -> None:
    path = f"{STATS_V2}/{PUBLIC}/{stage.topic()}/stats"
    for accept in ("application/json", "application/*", "*/*", "*", "text/html", "text/plain, application/json;q=0.1", "application/xml", "junk", "junk, application/json",
                   "text/html, image/gif, *; q=.2, */*; q=.2", "application/json;q=0", "text/html;level=1", ""):
        told(stage, path, accept, headers={"Accept": accept})


@scenario("statistics/path-forms", "stats topic", "path admin stats v1", "path admin stats v2")
def path_forms(stage: Stage) -> None:
    topic = stage.topic()
    stage.producer(topic)
    for name, path in {
        "slash behind": f"{PUBLIC}/{topic}/stats/", "query": f"{PUBLIC}/{topic}/stats?a=%zz", "slash in topic": f"{PUBLIC}/a/{topic}/stats", "escaped slash": f"{PUBLIC}/a%2F{topic}/stats",
        "no topic": f"{PUBLIC}//stats", "blank topic": f"{PUBLIC}/%20/stats", "no domain": f"/public/default/{topic}/stats", "domain": f"nowhere/public/default/{topic}/stats",
        "domain in capitals": f"PERSISTENT/public/default/{topic}/stats", "mixed domain": f"Non-Persistent/public/default/{topic}/stats", "tenant": f"persistent/pub*lic/default/{topic}/stats",
        "root": "", "more behind stats": "stats/x", "more behind metrics": "metrics/x", "capitals": "STATS", "description": "application.wadl",
    }.items():
        stage.request(f"{STATS_V2}/{path}", label=name)
    for name, path in {"v1 tenant": f"pub*lic/standalone/default/{topic}/stats", "v1 too few": f"public/default/{topic}/stats", "v1 too many": f"public/standalone/default/a/{topic}/stats",
                       "v1 with domain": f"persistent/public/standalone/default/{topic}/stats"}.items():
        stage.request(f"{STATS_V1}/{path}", label=name)
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        stage.request(f"{STATS_V2}/{PUBLIC}/{topic}/stats", method, headers=EMPTY, label=f"{method} topic")
        stage.request(f"{STATS_V2}/stats", method, headers=EMPTY, label=f"{method} all")
    for path in ("/admin", "/admin/", "/admin/v2", "/admin/v2/", "/admin/v2/clusters"):
        stage.request(path, label=path)


@scenario("statistics/status-forms", "status.html present", "http Accept", statusFilePath=STATUS_FILE.name)
def status_forms(stage: Stage) -> None:
    for accept in ("text/html", "application/json", "text/plain", "*/*", "image/png", "text/*", "junk", ""):
        stage.request("/status.html", headers={"Accept": accept}, label=f"'{accept}'")
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        stage.request("/status.html", method, headers=EMPTY, label=method)
    for path in ("/status.html?x=y", "/status.html/", "/STATUS.HTML", "/status.html;a=b", "/status%2Ehtml"):
        stage.request(path, label=path)
    stage.request("/status.html", version="1.0", label="HTTP/1.0")
    stage.request("/status.html", upgrade=True, label="upgrade")


@scenario("paths/redirects", "path 302", "http host")
def redirects(stage: Stage) -> None:
    for name, (path, method, headers) in {
        "upgrade": ("/ws/v2/consumer", "GET", {"Upgrade": "websocket", "Connection": "Upgrade"}), "POST": ("/ws/v2/reader", "POST", EMPTY), "OPTIONS": ("/ws/producer", "OPTIONS", {}),
        "other host": ("/ws/reader", "GET", {"Host": "pulsar.example:99"}), "forwarded": ("/ws/v2/producer", "GET", {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "a.example"}),
        "broken query": ("/ws/v2/producer?a=%zz", "GET", {}),
    }.items():
        stage.request(path, method, headers=headers, label=name)
    for path in ("/ws/v2/producer/", "/ws/consumer/", "/ws/v3/consumer/", "/ws/v2/reader/"):
        stage.request(path, label=f"GET {path}")
        stage.request(path, upgrade=True, label=f"upgrade {path}")
