"""The frame of every page of the site: navigation, title, style."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from runner.cli.site import search
from runner.cli.site.content import Page
from runner.sinks.markup import PAGE, STYLE, Html, joined, tag

HOME = "index"
PAGES = "pages"  # the anchor of the navigation
# beside the style of reports, which the pages share
OWN_STYLE = """
nav b{display:block;font-size:15px;margin:0 0 6px}
nav summary{font-size:12px;color:var(--soft);padding:8px 0 2px}
nav ul{list-style:none;margin:0;padding:0}
nav li{padding:3px 0} nav li li{padding:2px 0 2px 12px;font-size:12px}
nav a[aria-current]{font-weight:600;color:var(--ink)}
input{font:inherit;width:100%;padding:4px 8px;border:1px solid var(--soft);border-radius:6px;
background:var(--paper);color:var(--ink)} nav form{margin:4px 0 6px} #results p{margin:0;
color:var(--soft);font-size:14px}
.jump{padding:10px 14px 0;margin:0;font-size:14px}
@media(max-width:899px){body{display:flex;flex-direction:column} nav{order:3;padding:10px 14px 40px;
font-size:15px;border:0;border-top:1px solid var(--line)} nav li ul{display:none}
nav summary{font-size:14px}}
@media(min-width:900px){body{display:grid;grid-template-columns:210px minmax(0,780px);
justify-content:center;gap:0 36px} nav{position:sticky;top:0;align-self:start;max-height:100vh;
overflow-y:auto;border:0;padding:32px 0 20px} .jump{display:none} main{margin:0}}
main{width:100%;max-width:780px;font-size:16px}
main h2{font-size:20px;margin:32px 0 8px;padding-top:12px;
border-top:1px solid var(--line)} main h3{font-size:17px;margin:26px 0 6px}
h1,h2,h3,h4{scroll-margin-top:10px;overflow-wrap:anywhere}
main p,main li{overflow-wrap:anywhere} main ul,main ol{padding-left:22px} main li{margin:4px 0}
main .scroll{margin:10px 0 16px;background-repeat:no-repeat;
background-attachment:local,local,scroll,scroll;
background-image:linear-gradient(90deg,var(--paper) 40%,transparent),
linear-gradient(270deg,var(--paper) 40%,transparent),
linear-gradient(90deg,var(--line),transparent),linear-gradient(270deg,var(--line),transparent);
background-size:28px 100%,28px 100%,9px 100%,9px 100%;background-position:left,right,left,right}
main pre{border-radius:8px;margin:0;padding:12px 14px;width:max-content;min-width:100%}
main pre:has([class]){width:auto} pre [class]{white-space:pre-wrap;overflow-wrap:anywhere}
p code,li code,td code,dd code,dt code{background:var(--card);border-radius:4px;padding:1px 4px;
overflow-wrap:anywhere}
@media(min-width:601px){td:first-child code{white-space:nowrap}}
main table{font-size:14px;min-width:100%} main td,main th{white-space:normal;
text-align:left;vertical-align:top;min-width:90px;padding:6px 14px 6px 0}
dl>div{padding:7px 0} dl>div+div{border-top:1px solid var(--line)} dd p{margin:0 0 2px}
.pages dt,.names dt{color:var(--ink)} .names dt{overflow-wrap:anywhere}
.names>div{grid-template-columns:minmax(0,2fr) minmax(0,3fr)}
@media(max-width:600px){.names>div{grid-template-columns:minmax(0,1fr)}}
@media(max-width:600px){main h1{font-size:23px}
table:not(:has(td:nth-child(3))),table:not(:has(td:nth-child(3))) :is(tbody,tr,td){display:block}
table:not(:has(td:nth-child(3))) thead{display:none}
table:not(:has(td:nth-child(3))) td{border:0;padding:0}
table:not(:has(td:nth-child(3))) tr{padding:8px 0;border-bottom:1px solid var(--line)}}
"""


def framed(page: Page, sections: Mapping[str, Sequence[Page]], version: str) -> str:
    """A page with the navigation beside it, or above it where there is no room.

    Args:
        sections: heading -> pages of the site, in the order of the navigation.
    """
    address = f"#{PAGES}"
    link = tag("a", "All pages", href=address)
    jump = tag("p", link, class_="jump")
    body = joined(jump, _navigation(page, sections, version), tag("main", page.body))
    title = f"{page.title}, factor-runner {version}"
    return PAGE.format(title=escape(title), style=STYLE + OWN_STYLE, body=body)


def _navigation(page: Page, sections: Mapping[str, Sequence[Page]], version: str) -> Html:
    """Links to every page, and to the headings of this one; other sections are folded."""
    home = tag("b", tag("a", f"factor-runner {version}", href=f"{HOME}.html"))
    parts = [home] if page.name == search.NAME else [home, search.box()]
    for heading, pages in sections.items():
        links = [_link(other, other.name == page.name) for other in pages]
        summary = tag("summary", heading)
        items = tag("ul", *links)
        folded = tag("details", summary, items)
        if page in pages or page.name == HOME:
            opened = folded.replace("<details>", "<details open>", 1)
            folded = Html(opened)
        parts.append(folded)
    return tag("nav", *parts, aria_label="Pages", id=PAGES)


def _link(page: Page, current: bool) -> Html:
    """A page of the navigation; the one that is shown has its headings below it."""
    address = f"{page.name}.html"
    if not current:
        return tag("li", tag("a", page.title, href=address))
    shown = tag("a", page.title, href=address, aria_current="page")
    headings = []
    for heading in page.headings:
        link = tag("a", heading.text, href=f"#{heading.anchor}")
        headings.append(tag("li", link))
    headings_html = tag("ul", *headings)
    return tag("li", shown, headings_html)
