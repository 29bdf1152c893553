// Draws the states of a connection, as in conn/mod.rs, and lights the current state and the last arrow.
const { createDiagram } = (() => {
  const STATES = { Open: [70, 30], Finishing: [290, 30], Lingering: [70, 170], Closed: [290, 170] };
  const HALF = [52, 18];
  const STUB = 32;
  // From, to, the causes, and the place of their words. An arrow without a state at its start begins below its end.
  const ARROWS = [
    ["Open", "Finishing", "PeerFin", [180, 22]],
    ["Open", "Lingering", "LocalClose", [64, 104], "end"],
    ["Lingering", "Finishing", "PeerFin", [146, 142], "start"],
    ["Finishing", "Closed", "Delivered", [296, 104], "start"],
    ["Lingering", "Closed", "LingerExpired", [180, 188]],
    [null, "Closed", "every state: Reset, Abort", [280, 216], "end"],
  ];

  const svg = (name, attributes, ...children) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };

  /** Returns where the line between the middles of two boxes leaves the first box. */
  function edge([x, y], [toX, toY]) {
    const scale = Math.min(HALF[0] / Math.abs(toX - x || 0.01), HALF[1] / Math.abs(toY - y || 0.01));
    return [x + (toX - x) * scale, y + (toY - y) * scale];
  }

  function arrow(from, to) {
    const end = STATES[to];
    const start = STATES[from] ?? [end[0], end[1] + HALF[1] + STUB];
    const [x1, y1] = from ? edge(start, end) : start;
    const [x2, y2] = edge(end, start);
    const length = Math.hypot(x2 - x1, y2 - y1);
    const [dx, dy] = [(x2 - x1) / length, (y2 - y1) / length];
    const [neckX, neckY] = [x2 - 8 * dx, y2 - 8 * dy];
    const head = `${x2},${y2} ${neckX - 4 * dy},${neckY + 4 * dx} ${neckX + 4 * dy},${neckY - 4 * dx}`;
    return [svg("line", { x1, y1, x2: neckX, y2: neckY }), svg("polygon", { points: head })];
  }

  /** Returns the diagram, and a function that lights a state and an arrow in it. */
  function createDiagram() {
    const title = svg("title", {});
    const picture = svg("svg", { viewBox: "-14 6 384 214", class: "diagram", role: "img" }, title);
    const arrows = ARROWS.map(([from, to, causes, [x, y], anchor = "middle"]) => {
      const words = svg("text", { x, y, "text-anchor": anchor }, causes);
      const group = svg("g", { class: "arrow" }, ...arrow(from, to), words);
      picture.append(group);
      return { from, to, causes, group };
    });
    const boxes = Object.entries(STATES).map(([state, [x, y]]) => {
      const [width, height] = [2 * HALF[0], 2 * HALF[1]];
      const box = svg("rect", { x: x - HALF[0], y: y - HALF[1], width, height, rx: 6 });
      const group = svg("g", { class: "state" }, box, svg("text", { x, y: y + 5, "text-anchor": "middle" }, state));
      picture.append(group);
      return { state, group };
    });
    return {
      picture,
      light(current, last) {
        title.textContent = `The connection is in the state ${current}.`;
        for (const { state, group } of boxes) group.classList.toggle("lit", state === current);
        for (const { from, to, causes, group } of arrows) {
          const fits = last && (!from || from === last.from) && to === last.to && causes.includes(last.cause);
          group.classList.toggle("lit", Boolean(fits));
        }
      },
    };
  }

  return { createDiagram };
})();
