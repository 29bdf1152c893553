// Shows one machine: the peer, the kernel, the connection, and what follows from them. It reads a trace and decides nothing.
const { createMachine } = (() => {
  const MEANINGS = {
    READABLE: "a read may succeed",
    WRITABLE: "a write may succeed",
    READ_UNTIL_BLOCKED: "a short read proves nothing",
    BLOCK_MAY_BE_FALSE: "the next WouldBlock proves nothing",
    WRITE_CLOSED: "nothing can be sent any more",
    FAILED: "the socket has failed",
  };

  const VERDICTS = { asleep: "good", closed: "good", stuck: "bad", spins: "bad", wrong: "bad" };

  const element = (name, properties = {}, ...children) => {
    const created = Object.assign(document.createElement(name), properties);
    created.append(...children);
    return created;
  };

  const list = (words) => words.join(", ") || "nothing";
  const bytes = (text) => `${text.length} ${text.length === 1 ? "byte" : "bytes"}`;

  /** Returns the lines of a step. Of runs one after the other that differ only in their second, all but the first are counted. */
  function folded(lines) {
    const runs = [];
    for (const line of lines) {
      const [, second, what] = line.match(/^(\d+) s: (.*)/) ?? [];
      if (second || !runs.length) runs.push({ lines: [], text: "", repeats: 0 });
      const run = runs.at(-1);
      run.lines.push(line);
      run.text += `${what ?? line}\n`;
      run.second = second ?? run.second;
    }
    const kept = [];
    for (const run of runs) {
      const before = kept.at(-1);
      if (before?.text === run.text) Object.assign(before, { repeats: before.repeats + 1, second: run.second });
      else kept.push(run);
    }
    return kept.flatMap(({ lines: first, repeats, second }) => (
      repeats ? [...first, `(${repeats} more like this, the last at ${second} s)`] : first));
  }

  /** Creates the view of a machine. It calls `act` with a word, `goTo` with a number of steps, and `showRule` with a rule. */
  function createMachine({ act, goTo, showRule }) {
    const article = document.getElementById("machine").content.cloneNode(true).firstElementChild;
    const part = (name) => article.querySelector(`[data-part="${name}"]`);
    const diagram = createDiagram();
    part("diagram").append(diagram.picture);
    const buttons = Object.entries(ACTIONS).flatMap(([column, actions]) => actions.map(([word, label, key, title]) => {
      const button = element("button", { type: "button", title }, `${label} `, element("kbd", { ariaHidden: "true" }, key));
      button.setAttribute("aria-keyshortcuts", key);
      // A button that is not possible stays in the order of the keyboard, so that the focus is not lost.
      button.addEventListener("click", () => { if (button.ariaDisabled !== "true") act(word); });
      part(`${column}-actions`).append(button);
      return { word, button };
    }));

    function showPeer({ sent, received, finished, end }) {
      part("peer-sent").textContent = (sent || "nothing") + (finished ? ", then a FIN" : "");
      part("peer-received").textContent = (received || "nothing") + (end ? `, then a ${end}` : "");
    }

    function showKernel(kernel, { state, connection }) {
      const received = [...kernel.receive].map((byte) => cell(byte === "!" ? "urgent" : byte, byte === "!" ? "mark" : ""));
      if (kernel.fin) received.push(cell("FIN", "mark"));
      if (kernel.reset) received.push(cell("reset", "mark"));
      part("receive").replaceChildren(...(received.length ? received : [cell("empty", "free")]));
      const free = Array.from({ length: kernel.send_size - kernel.send.length }, () => cell("·", "free"));
      part("send").replaceChildren(...[...kernel.send].map((byte) => cell(byte, "")), ...free);
      part("send-note").textContent = `${kernel.send.length} of ${kernel.send_size}`;
      part("queue").textContent = list(kernel.due);
      part("receive-note").textContent = `a read takes up to ${connection.read_buffer}`;
      const isClosed = state === "Closed";
      part("interest").textContent = isClosed ? "nothing: the socket is closed" : kernel.write_interest ? "read, write" : "read";
      // epoll reports each arrival, so nothing has to be armed.
      part("armed-row").hidden = !kernel.armed || isClosed;
      part("armed").textContent = list(Object.keys(kernel.armed ?? {}).filter((direction) => kernel.armed[direction]));
      part("planned").hidden = kernel.planned.length === 0;
      part("planned").textContent = `Planned: ${kernel.planned.map((word) => TITLE_OF_ACTION.get(word)).join("; ")}`;
    }

    const cell = (text, className) => element("li", { className }, text);

    function showConnection({ state, connection, clock, reason, useless_turns: useless }, move) {
      diagram.light(state, move);
      part("arrow").textContent = move
        ? `${move.from} → ${move.to}, ${move.cause}: ${move.why}`
        : "The state has not changed yet.";
      const { pending, read_buffer: readBuffer, high_water: highWater, timer, checks, stopping, backlog } = connection;
      part("pending").textContent = `${pending || "none"} (${bytes(pending)}, high-water mark ${highWater})`;
      const most = highWater + readBuffer;
      part("fill").style.width = `${(100 * Math.min(pending.length, most)) / most}%`;
      part("high").style.left = `${(100 * highWater) / most}%`;
      part("clock").textContent = `${clock} s; ${timer ? `${timer.name} timer since ${timer.since} s, expires at ${timer.expires} s` : "no timer runs"}`;
      const notes = [];
      if (useless > 1) notes.push(`the last ${useless} turns of the loop did nothing`);
      if (backlog) notes.push("the budget of the run was spent, so another run follows");
      if (checks.length && state !== "Closed") notes.push(`the next runs have to ask the socket because of: ${checks.join(", ")}`);
      if (stopping) notes.push("the server stops");
      if (reason) notes.push(`the connection ends: ${reason}`);
      part("notes").textContent = notes.join("; ");
    }

    function showBeliefs(beliefs) {
      part("beliefs").replaceChildren(...beliefs.map((belief) => {
        const parted = belief.true !== null && belief.believed !== belief.true;
        const isBad = parted && !belief.correction;
        const yes = (value) => (value === null ? "–" : value ? "yes" : "no");
        const name = element("th", { scope: "row" }, element("code", {}, belief.bit), element("small", {}, MEANINGS[belief.bit]));
        if (parted) name.append(element("small", {}, correctionOf(belief)));
        return element("tr", { className: isBad ? "bad" : parted ? "parted" : "" }, name,
          element("td", {}, yes(belief.believed)), element("td", {}, yes(belief.true), parted ? " ≠" : ""));
      }));
    }

    function correctionOf({ correction }) {
      if (correction) return `Differs, which is normal. What will correct it: ${correction}`;
      return "What will correct it: nothing, because no event will come";
    }

    function showCalls(steps, at) {
      const calls = part("calls");
      calls.replaceChildren(...steps.slice(0, at + 1).map((step) => {
        const button = element("button", { type: "button" }, `${step.step}. ${step.refused ? `Not possible: ${step.refused}` : step.what}`);
        button.addEventListener("click", () => {
          goTo(step.step);
          calls.lastElementChild.querySelector("button").focus();
        });
        const item = element("li", { className: step.step === at ? "current" : "" }, button);
        if (step.lines.length) item.append(element("pre", { className: "lines" }, folded(step.lines).join("\n")));
        return item;
      }));
      calls.scrollTop = calls.scrollHeight;
    }

    function showRules(step, rules) {
      const { broken } = step;
      const items = [...new Set(step.rules)].map((name) => {
        const calls = step.calls.filter((made) => made.rule === name).map(({ call, size, answer }) => `${call}(${size}) = ${answer}`);
        const link = element("button", { type: "button", className: "link" }, sourceName(rules[name]));
        link.addEventListener("click", () => showRule(rules[name]));
        const heading = element("p", {}, element("code", {}, name), element("small", {}, [...new Set(calls)].join(", ")));
        const text = element("p", {}, rules[name].text);
        if (broken?.rule !== name) return element("li", {}, heading, text, link);
        heading.append(element("strong", { className: "bad" }, "broken here"));
        return element("li", {}, heading, text, element("p", { className: "bad" }, `Instead: ${broken.instead}`), link);
      });
      part("rules").replaceChildren(...(items.length ? items : [element("li", { className: "note" }, "The connection did not run in this step.")]));
    }

    return {
      article,
      /** Shows the steps of a trace up to the step `at`. */
      show({ name, catalogue, steps, at }) {
        const step = steps[at];
        const moves = steps.slice(0, at + 1).flatMap((played) => played.moves);
        part("name").textContent = name;
        article.ariaLabel = name;
        part("verdict").className = `verdict ${VERDICTS[step.verdict.kind] ?? ""}`;
        part("verdict").textContent = step.verdict.text;
        for (const { word, button } of buttons) button.ariaDisabled = String(!step.can.includes(word));
        showPeer(step.peer);
        showKernel(step.kernel, step);
        showConnection(step, moves.at(-1));
        showBeliefs(step.beliefs);
        showCalls(steps, at);
        showRules(step, catalogue.rules);
      },
    };
  }

  return { createMachine };
})();
