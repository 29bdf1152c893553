// Shows a file of the source with one line marked, or the glossary. The files are part of the page, so this works without a network.
const { showSource, showGlossary, sourceName, findLine } = (() => {
  const dialog = document.getElementById("source");
  const [title, lines, prose, link] = ["title", "lines", "prose", "link"].map((part) => dialog.querySelector(`[data-part="${part}"]`));
  const address = document.querySelector('meta[name="source"]').content;

  const sourceName = ({ file, line }) => `${file}, line ${line}`;

  /** Returns the text of a file, in which the builder of the page has escaped each `<` and each backslash. */
  function textOf(file) {
    const { textContent } = document.querySelector(`script[data-file="${file}"]`);
    const text = textContent.replace(/\\(u003c|\\)/g, (_, escaped) => (escaped === "\\" ? "\\" : "<"));
    return text.replace(/^\n|\n$/g, "");
  }

  const linesOf = (file) => textOf(file).split("\n");

  const findLine = (file, text) => ({ file, line: linesOf(file).findIndex((line) => line.includes(text)) + 1 });

  /** Opens the dialog with one of its two views. */
  function open(view, name, path) {
    title.textContent = name;
    link.hidden = !address;
    link.href = `${address}/${path}`;
    for (const other of [lines, prose]) other.hidden = other !== view;
    dialog.showModal();
  }

  function showSource(place) {
    lines.replaceChildren(...linesOf(place.file).map((line) => {
      const item = document.createElement("li");
      item.textContent = line;
      return item;
    }));
    const marked = lines.children[place.line - 1];
    marked.setAttribute("aria-current", "true");
    open(lines, sourceName(place), `${place.file}#L${place.line}`);
    marked.scrollIntoView({ block: "center" });
  }

  function showGlossary() {
    const file = "src/glossary.md";
    // Links lead into the documentation of the crate, so only their words are kept.
    const words = textOf(file).replace(/\[([^\]]*)\]\([^)]*\)/g, "$1");
    prose.replaceChildren(...words.split(/\n(?=- )|\n\n/).map((block) => {
      const created = document.createElement(block.startsWith("# ") ? "h3" : "p");
      created.append(...formatted(block.replace(/^[#-] /, "")));
      return created;
    }));
    open(prose, "Glossary", file);
    prose.scrollTop = 0;
  }

  /** Returns the pieces of a block: `**strong**`, `*emphasis*`, code and words. */
  function formatted(block) {
    return block.split(/(\*\*[^*]+\*\*|\*[^*]+\*|`[^`]+`)/).map((piece) => {
      const [, mark, words] = piece.match(/^(\*\*|\*|`)(.+)\1$/s) ?? [];
      if (!mark) return piece;
      const name = { "**": "strong", "*": "em", "`": "code" }[mark];
      return Object.assign(document.createElement(name), { textContent: words });
    });
  }

  dialog.querySelector("button").addEventListener("click", () => dialog.close());
  return { showSource, showGlossary, sourceName, findLine };
})();
