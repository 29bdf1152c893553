// A schedule: the settings and the steps, and how many of the steps are played. Its text is the fragment of the address.
class Schedule {
  constructor() {
    this.settings = { selector: "edge", sizes: null, broken: null };
    this.steps = [];
    this.at = 0;
  }

  /** Reads words that are separated by commas or lines. `@3` at the end plays only the first three steps. */
  static parse(text) {
    const [words, at] = text.split("@");
    const schedule = new Schedule();
    for (const word of words.split(/[\s,]+/).filter(Boolean)) {
      if (word === "edge" || word === "rearm") schedule.settings.selector = word;
      else if (word.startsWith("sizes-")) schedule.settings.sizes = word;
      else if (word.startsWith("break-")) schedule.settings.broken = word.slice("break-".length);
      else schedule.steps.push(word);
    }
    schedule.goTo(at === undefined ? schedule.steps.length : Number.parseInt(at, 10) || 0);
    return schedule;
  }

  settingWords(replaced = {}) {
    const { selector, sizes, broken } = { ...this.settings, ...replaced };
    return [selector, sizes, broken && `break-${broken}`].filter(Boolean);
  }

  /** Returns the words that the player reads, with some settings replaced. */
  words(replaced = {}) {
    return [...this.settingWords(replaced), ...this.steps];
  }

  fragment() {
    const at = this.at < this.steps.length ? `@${this.at}` : "";
    return this.words().join(",") + at;
  }

  goTo(at) { this.at = Math.max(0, Math.min(at, this.steps.length)); }

  /** Returns true if playing `step` now drops the steps that are not played yet. */
  forks(step) { return this.at < this.steps.length && this.steps[this.at] !== step; }

  act(step) {
    if (this.forks(step)) this.steps.length = this.at;
    if (this.at === this.steps.length) this.steps.push(step);
    this.at += 1;
  }
}
