
"use strict";
// The page shows everything without this script. The script adds the value at the pointer, the arrow keys, and the link
// that saves the report.
{
  const link = document.getElementById("save");
  const json = document.getElementById("report").textContent;
  link.href = URL.createObjectURL(new Blob([json], { type: "application/json" }));
  link.hidden = false;

  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("role", "status");
  document.body.append(tip);
  let shown = null;

  const hide = () => {
    if (shown) shown.classList.remove("shown");
    shown = null;
    tip.hidden = true;
  };

  const show = (hit) => {
    if (shown === hit) return;
    hide();
    shown = hit;
    hit.classList.add("shown");
    tip.textContent = hit.dataset.tip;
    tip.hidden = false;
    const at = hit.getBoundingClientRect();
    const gap = 8;
    const most = document.documentElement.clientWidth - tip.offsetWidth - gap;
    const right = at.right + gap;
    const left = right > most ? at.left - tip.offsetWidth - gap : right;
    tip.style.left = Math.max(gap, Math.min(left, most)) + window.scrollX + "px";
    tip.style.top = at.top + window.scrollY + gap + "px";
  };

  for (const plot of document.querySelectorAll("svg.plot")) {
    const hits = [...plot.querySelectorAll(".hit")];
    if (hits.length === 0) continue;
    for (const hit of hits) {
      // The title would be shown a second time.
      const title = hit.querySelector("title");
      hit.dataset.tip = title.textContent;
      title.remove();
      hit.addEventListener("pointerenter", () => show(hit));
    }
    plot.addEventListener("pointerleave", hide);
    plot.setAttribute("tabindex", "0");
    plot.addEventListener("focus", () => { if (plot.matches(":focus-visible")) show(hits[0]); });
    plot.addEventListener("blur", hide);
    plot.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (event.key === "Escape") hide();
      if (!step) return;
      const next = hits.indexOf(shown) + step;
      show(hits[Math.max(0, Math.min(next, hits.length - 1))]);
      event.preventDefault();
    });
  }
}
