"""Plays schedules in the page of play/ and natively, and checks what a learner sees.

Usage: play.py PAGE PLAYER [SHOTS]. PLAYER is the native program. With SHOTS, views of the page are saved there as pictures.
"""

import hashlib
import json
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from chromium import Browser

WIDTHS = [390, 800, 1000, 1600]
SCHEMES = ["light", "dark"]
WALKS = 1000
BAD_ENDS = {"stuck", "spins", "wrong"}

# Waits until the page shows its schedule.
SETTLED = r"""
async () => {
  for (let waited = 0; document.getElementById("machines")?.ariaBusy !== "false"; waited += 10) {
    if (waited > 10000) throw new Error("the page shows no machine");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
"""

# Returns the traces of schedules, or their hashes.
PLAY = r"""
async (schedules, asHash) => {
  const traces = [];
  for (const schedule of schedules) {
    const { output, error } = await play(schedule);
    if (error) throw new Error(error);
    const hash = asHash && new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(output)));
    traces.push(asHash ? Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("") : output);
  }
  return traces;
}
"""

# Returns what is wrong with the view of the page.
INSPECT = r"""
() => {
  const faults = [];
  const shown = (element) => element.getClientRects().length > 0;
  if (document.documentElement.scrollWidth > window.innerWidth) faults.push("the page is wider than its window");
  for (const control of document.querySelectorAll("button, select, input, a")) {
    if (!shown(control)) continue;
    const at = control.getBoundingClientRect();
    const name = control.ariaLabel || control.textContent.trim() || control.closest("label")?.textContent.trim();
    if (!name) faults.push(`a ${control.localName} has no name`);
    if (at.left < 0 || at.right > window.innerWidth) faults.push(`"${name}" lies outside the window`);
    if (control.localName === "button" && at.height < 24) faults.push(`"${name}" is ${at.height} pixels high`);
  }
  for (const picture of document.querySelectorAll("svg.diagram")) {
    const frame = picture.getBoundingClientRect();
    if (!picture.querySelector("title").textContent) faults.push("the diagram has no title");
    const texts = [...picture.querySelectorAll("text")].map((text) => [text.textContent, text.getBoundingClientRect()]);
    texts.forEach(([text, at], index) => {
      if (at.height < 11) faults.push(`"${text}" is ${at.height} pixels high`);
      if (at.left < frame.left || at.right > frame.right) faults.push(`"${text}" lies outside the diagram`);
      for (const [other, place] of texts.slice(index + 1)) {
        const isApart = at.right <= place.left || place.right <= at.left || at.bottom <= place.top || place.bottom <= at.top;
        if (!isApart) faults.push(`"${text}" overlaps "${other}"`);
      }
    });
  }
  return faults;
}
"""

VERDICTS = """() => [...document.querySelectorAll(".verdict")].map((verdict) => verdict.textContent)"""
LINES = """() => [...document.querySelectorAll(".lines")].map((lines) => lines.textContent).join("\\n")"""
MARKED = """() => document.querySelector(".source [aria-current]").textContent"""
PROSE = """() => document.querySelector(".prose").innerText"""
NOW = """() => document.getElementById("now").textContent"""


class Page:
    def __init__(self, browser, address, player):
        self.browser, self.address, self.player = browser, address, player
        self.faults = []

    def expect(self, condition, fault):
        if not condition:
            self.faults.append(fault)

    def open(self, schedule):
        """Opens the page anew with a schedule, which is given as lines."""
        self.faults += self.browser.messages()
        self.browser.open("about:blank")
        self.browser.open(f"{self.address}#{','.join(schedule.split())}")
        self.browser.run(SETTLED)

    def click(self, selector):
        self.browser.run("(selector) => document.querySelector(selector).click()", selector)
        self.browser.run(SETTLED)

    def press(self, key):
        for kind in ["keyDown", "keyUp"]:
            self.browser.call("Input.dispatchKeyEvent", type=kind, key=key)
        self.browser.run(SETTLED)

    def choose(self, id, value):
        self.browser.run("""(id, value) => {
            const select = document.getElementById(id);
            select.value = value;
            select.dispatchEvent(new Event("change"));
        }""", id, value)
        self.browser.run(SETTLED)

    def traces(self, schedules):
        return [[json.loads(line) for line in trace.splitlines()] for trace in self.browser.run(PLAY, schedules, False)]

    def native(self, schedule):
        return subprocess.run([self.player], input=schedule.encode(), stdout=subprocess.PIPE, check=True).stdout


def without_break(schedule):
    return "\n".join(word for word in schedule.split() if not word.startswith("break-"))


def documented_traces():
    """Returns the worked traces of conn/mod.rs by their headings."""
    text = "".join(line[4:] if line.startswith("//! ") else line[3:]
                   for line in Path("src/conn/mod.rs").read_text().splitlines(keepends=True) if line.startswith("//!"))
    section = text.split("# Worked traces\n")[1]
    return dict(re.findall(r"^## (.*)\n[^#]*?```text\n([^`]*)\n```", section, re.M))


def check_documented_traces(page, examples):
    documented = documented_traces()
    page.expect(len(documented) == 3, f"conn/mod.rs has {len(documented)} worked traces")
    by_heading = {example["heading"]: example for example in examples if example["heading"]}
    page.expect(by_heading.keys() == documented.keys(), f"the examples have the headings {by_heading.keys()}")
    for heading, example in by_heading.items():
        page.open(example["schedule"])
        lines = page.browser.run(LINES)
        page.expect(lines == documented.get(heading), f"{heading}: the page shows\n{lines}\nand not the trace of conn/mod.rs")


def check_breaks(page, breaks):
    page.expect(len(breaks) >= 8, f"only {len(breaks)} rules can be broken")
    for broken in breaks:
        name, ends = broken["name"], broken["ends"]
        page.expect(ends in BAD_ENDS, f"{name} ends {ends}")
        page.open(broken["schedule"])
        page.choose("beside", "sound")
        verdicts = page.browser.run(VERDICTS)
        page.expect(len(verdicts) == 2 and verdicts[0].startswith(ends), f"{name}: the page says {verdicts}")
        [sound] = page.traces([without_break(broken["schedule"])])
        kinds = {step["verdict"]["kind"] for step in sound[1:]}
        page.expect(not kinds & BAD_ENDS, f"the sound machine on the schedule of {name}: {kinds & BAD_ENDS}")


def check_walks(page, words, breaks):
    """Compares random walks in the page and natively, and requires that no sound machine ends badly."""
    walk = random.Random("a seed")
    schedules = []
    for number in range(WALKS):
        settings = [walk.choice(["edge", "rearm"])]
        if number % 2:
            settings.append(f"break-{walk.choice(breaks)['name']}")
        schedules.append("\n".join(settings + walk.choices(words, k=24)))
    hashes = page.browser.run(PLAY, schedules, True)
    for schedule, hash in zip(schedules, hashes, strict=True):
        trace = page.native(schedule)
        page.expect(hashlib.sha256(trace).hexdigest() == hash, f"the page and the native player part: {schedule.split()}")
        if "break-" in schedule:
            continue
        for line in trace.splitlines()[1:]:
            step = json.loads(line)
            if step["verdict"]["kind"] in BAD_ENDS:
                page.faults.append(f"a sound machine: {step['verdict']['text']}, step {step['step']} of {schedule.split()}")
                break


def check_rules(page, rules):
    """Opens the source of a rule, and requires that the page has the source of each."""
    for name, rule in rules.items():
        has_line = page.browser.run("""(file, line) => {
            const source = document.querySelector(`script[data-file="${file}"]`);
            return Boolean(source) && source.textContent.trim().split("\\n").length >= line;
        }""", rule["file"], rule["line"])
        page.expect(has_line, f"the page has no {rule['file']}, line {rule['line']}, for the rule {name}")
    page.open("edge send-1 turn")
    page.click("#terms")
    glossary = page.browser.run(PROSE)
    page.expect("Readiness" in glossary, "the glossary is not shown")
    page.expect(not re.search(r"\*\*|`|\]\(", glossary), "the glossary is shown as Markdown")
    page.click("dialog button")
    page.click("#states")
    page.expect("`Open`" in page.browser.run(MARKED), "the states of conn/mod.rs are not shown")
    page.click("dialog button")
    page.click(".rules .link")
    marked = page.browser.run(MARKED)
    title = page.browser.run("() => document.getElementById('source-title').textContent")
    file, line = title.split(", line ")
    page.expect(Path(file).read_text().splitlines()[int(line) - 1] == marked, f"{title} shows {marked!r}")


def check_controls(page):
    """Looks at a long step, acts with the buttons, the keys and the slider, and returns through the history."""
    def now(expected):
        shown = page.browser.run(NOW)
        page.expect(shown.startswith(expected), f"expected {expected!r}, the page says {shown!r}")

    page.open("edge break-always-writable send-1 loop")
    page.expect("(48 more like this, the last at 50 s)" in page.browser.run(LINES), "equal runs are not folded")
    page.open("edge")
    now("Step 0 of 0.")
    for key in ["2", "d", "t", "f"]:
        page.press(key)
    now("Step 4 of 4.")
    page.click("#undo")
    page.press("ArrowLeft")
    now("Step 2 of 4.")
    page.press("ArrowRight")
    page.click("#redo")
    now("Step 4 of 4.")
    page.press("Home")
    now("Step 0 of 4.")
    page.press("d")  # Not possible, so nothing happens.
    now("Step 0 of 4.")
    page.press("3")  # Acts in the past.
    now("Step 1 of 1.")
    page.browser.run("() => history.back()")
    page.browser.run("""async () => {
        while (!document.getElementById("now").textContent.includes("of 4")) await new Promise((done) => setTimeout(done, 10));
    }""")
    now("Step 0 of 4.")
    link = page.browser.run("() => document.getElementById('link').href")
    page.expect(link.endswith("#edge,send-2,turn,take-1,fin@0"), f"the link is {link}")
    page.choose("beside", "selector")
    page.expect(len(page.browser.run(VERDICTS)) == 2, "no second machine is shown")
    page.open("edge send-1 juggle")
    error = page.browser.run("() => document.getElementById('error').textContent")
    page.expect("juggle" in error, f"a schedule with a wrong word: {error!r}")


def check_views(page, schedules, shots):
    """Looks at each schedule in each width and colour scheme."""
    for name, (schedule, beside) in schedules.items():
        for scheme in SCHEMES:
            for width in WIDTHS:
                page.browser.set_view(scheme, width)
                page.open(schedule)
                page.choose("beside", beside)
                page.faults += [f"{name}, {scheme}, {width} pixels: {fault}" for fault in page.browser.run(INSPECT)]
                if shots:
                    page.browser.shoot(shots / f"{name}-{width}-{scheme}.png")


def main():
    address = Path(sys.argv[1]).resolve().as_uri()
    shots = Path(sys.argv[3]) if len(sys.argv) > 3 else None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        page = Page(Browser(profile), address, Path(sys.argv[2]).resolve())
        page.open("edge")
        [[catalogue, start]] = page.traces(["edge"])
        examples, breaks = catalogue["examples"], catalogue["breaks"]
        check_documented_traces(page, examples)
        check_breaks(page, breaks)
        check_rules(page, catalogue["rules"])
        check_controls(page)
        check_views(page, {
            "example": (examples[1]["schedule"], ""),
            "broken": (breaks[0]["schedule"], "sound"),
        }, shots)
        buttons = page.browser.run("() => [...ACTION_OF_KEY.values()]")
        # The send buffer of the kernel grows in examples only.
        missing = [word for word in start["can"] if word not in buttons and not word.startswith("grow-")]
        page.expect(not missing, f"no button for {missing}")
        check_walks(page, [*buttons, "send-40", "take-2", "grow-6"], breaks)
        page.faults += page.browser.messages()
        page.browser.close()
    print(*page.faults, sep="\n")
    print(f"{len(examples)} examples, {len(breaks)} broken rules, {WALKS} walks: {len(page.faults)} faults")
    sys.exit(bool(page.faults))


main()
