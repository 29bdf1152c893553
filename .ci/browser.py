"""Opens each page of a folder in headless chromium, in both colour schemes and two widths, and checks what a reader sees.

Usage: browser.py PAGES [SHOTS]. With SHOTS, each view is saved there as a picture.
"""

import sys
import tempfile
from pathlib import Path

from chromium import Browser

WIDTHS = [390, 1400]
SCHEMES = ["light", "dark"]

# The least and the most marks that each plot of a page must have: (page, plot, selector, least, most).
MARKS = [
    ("run", "spectrum", ".mark.one", 4, 6),
    ("run", "spectrum", ".mark.two", 4, 6),
    ("run", "spectrum", "path.line", 4, 6),
    ("run", "spectrum", ".hit", 20, 120),
    ("run", "over-time", ".hit", 20, 64),
    ("run", "over-time", ".asked", 1, 1),
    ("run", "over-time", ".step", 3, 3),
    ("run", "over-time", ".longest", 20, 66),
    ("merged", "spectrum", ".mark.one", 4, 6),
    ("merged", "over-time", ".hit", 20, 64),
    ("closed", "spectrum", ".mark.one", 3, 6),
    ("closed", "over-time", ".asked", 0, 0),
    ("compare", "ratios", ".mark.one", 2, 4),
    ("compare", "ratios", ".mark.two", 2, 4),
    ("compare", "ratios", ".unity", 1, 1),
    ("compare", "spectrum", ".mark.one", 3, 6),
    ("compare", "spectrum", ".mark.two", 3, 6),
    ("sweep", "steps", ".mark.three, .mark.doubt", 5, 5),
    ("sweep", "steps", ".mark.one", 5, 5),
    ("sweep", "steps", ".mark.two", 2, 5),
    ("sweep", "steps", ".hit", 5, 5),
    ("find-max", "steps", ".mark.three, .mark.doubt", 2, 40),
    ("find-max", "steps", ".line", 0, 0),
    ("beside", "spectrum", ".mark.one", 3, 6),
    ("beside", "spectrum", ".mark.two", 2, 6),
    ("stalled", "over-time", ".silence", 1, 3),
    ("stalled", "spectrum", ".mark.one", 4, 6),
    ("empty", "spectrum", "*", 0, 0),
    ("empty", "over-time", ".step.p50", 0, 0),
    ("unanswered", "spectrum", ".bound.one", 1, 1),
    ("unanswered", "spectrum", ".mark.one", 3, 6),
    ("unanswered", "over-time", ".longest.bound", 1, 64),
]

# Texts that a page must show.
TEXTS = [
    ("run", "</script><img src=x onerror=alert(1)>"),
    ("run", "Open loop:"),
    ("closed", "Closed loop:"),
    ("merged", "bench merge, 1 reports"),
    ("compare", "3 rounds of A, B and A again"),
    ("sweep", "Sweep of size"),
    ("find-max", "Highest rate that meets the objectives"),
    ("beside", "The bulk connections add:"),
    ("stalled", "No reply arrived from"),
    ("empty", "No message was answered"),
]

# Returns what is wrong with the texts of the page that is shown, and counts the marks.
INSPECT = r"""
(marks) => {
  const faults = [];
  const overlap = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 2;
  const shown = (element) => element.getClientRects().length > 0;
  for (const plot of document.querySelectorAll("svg.plot")) {
    if (!shown(plot)) continue;
    const frame = plot.getBoundingClientRect();
    if (!plot.querySelector(":scope > title")?.textContent) faults.push(plot.id + " has no title");
    if (!plot.querySelector(":scope > desc")?.textContent) faults.push(plot.id + " has no description");
    const texts = [...plot.querySelectorAll("text")].map((text) => [text.textContent, text.getBoundingClientRect()]);
    texts.forEach(([text, at], index) => {
      if (at.height < 10) faults.push(`${plot.id}: "${text}" is ${at.height} pixels high`);
      if (at.left < frame.left - 1 || at.right > frame.right + 1 || at.top < frame.top - 1 || at.bottom > frame.bottom + 1) {
        faults.push(`${plot.id}: "${text}" lies outside its picture`);
      }
      for (const [other, place] of texts.slice(index + 1)) {
        if (overlap(at, place)) faults.push(`${plot.id}: "${text}" overlaps "${other}"`);
      }
    });
  }
  if (document.documentElement.scrollWidth > window.innerWidth) faults.push("the page is wider than its window");
  if (window.innerWidth >= 1000) {
    for (const table of document.querySelectorAll(".scroll")) {
      if (table.scrollWidth > table.clientWidth) faults.push("a table is wider than the page");
    }
  }
  if (document.querySelector("img")) faults.push("a text became an element");
  const counts = marks.map(([plot, selector]) => {
    const plots = [...document.querySelectorAll(`svg[id^="${plot}-"]`)].filter(shown);
    return plots.reduce((sum, plot) => sum + plot.querySelectorAll(selector).length, 0);
  });
  const save = document.getElementById("save");
  return { faults, counts, text: document.body.innerText, saves: !save.hidden && save.href.startsWith("blob:") };
}
"""

# Shows the value at the first column of each plot.
HOVER = r"""
() => {
  const empty = [];
  for (const plot of document.querySelectorAll("svg.plot")) {
    const hit = plot.querySelector(".hit");
    if (!hit || plot.getClientRects().length === 0) continue;
    hit.dispatchEvent(new PointerEvent("pointerenter"));
    const tip = document.querySelector(".tip");
    if (tip.hidden || !tip.textContent.includes("\n")) empty.push(plot.id);
    plot.dispatchEvent(new PointerEvent("pointerleave"));
  }
  return empty;
}
"""


def check(browser, page, scheme, width, shots):
    """Returns what is wrong with one view of a page."""
    browser.set_view(scheme, width)
    browser.open(page.as_uri())
    marks = [mark for mark in MARKS if mark[0] == page.stem]
    seen = browser.run(INSPECT, [[plot, selector] for _, plot, selector, _, _ in marks])
    faults = seen["faults"]
    for (_, plot, selector, least, most), count in zip(marks, seen["counts"]):
        if not least <= count <= most:
            faults.append(f"{plot} has {count} marks {selector}, expected {least} to {most}")
    for _, text in [text for text in TEXTS if text[0] == page.stem]:
        if text not in seen["text"]:
            faults.append(f"the page does not show {text!r}")
    if not seen["saves"]:
        faults.append("no link saves the report")
    faults += [f"{plot} shows no value at the pointer" for plot in browser.run(HOVER)]
    if shots:
        browser.shoot(shots / f"{page.stem}-{width}-{scheme}.png")
    return faults + browser.messages()


def main():
    pages = sorted(Path(sys.argv[1]).resolve().glob("*.html"))
    shots = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    missing = {mark[0] for mark in MARKS} - {page.stem for page in pages}
    faults = [f"{name}.html is missing" for name in sorted(missing)]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(profile)
        for page in pages:
            for scheme in SCHEMES:
                for width in WIDTHS:
                    view = f"{page.stem}, {scheme}, {width} pixels"
                    faults += [f"{view}: {fault}" for fault in check(browser, page, scheme, width, shots)]
        browser.close()
    print(*faults, sep="\n")
    print(f"{len(pages)} pages in {len(SCHEMES) * len(WIDTHS)} views each: {len(faults)} faults")
    sys.exit(bool(faults))


main()
