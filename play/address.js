// The fragment of the address holds the schedule. A new schedule is a new entry of the history, so "Back" returns to the old one.
const address = (() => {
  let written = location.hash;
  let timer = null;

  const read = () => Schedule.parse(location.hash.slice(1).replaceAll("%2C", ",").replaceAll("%40", "@"));

  /** Writes the schedule into the present entry of the history. */
  function replace(schedule) {
    clearTimeout(timer);
    written = `#${schedule.fragment()}`;
    if (location.hash !== written) history.replaceState(null, "", written);
  }

  /** The same, soon: browsers limit how often the address may change. */
  function replaceSoon(schedule) {
    clearTimeout(timer);
    timer = setTimeout(() => replace(schedule), 300);
  }

  /** Writes the schedule into a new entry of the history. */
  function push(schedule) {
    clearTimeout(timer);
    written = `#${schedule.fragment()}`;
    location.hash = written;
  }

  /** Calls `listener` when the reader has changed the address. */
  function onChange(listener) {
    addEventListener("hashchange", () => {
      if (location.hash === written) return;
      written = location.hash;
      listener();
    });
  }

  return { read, replace, replaceSoon, push, onChange };
})();
