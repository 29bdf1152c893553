// Connects the controls and the keys to the schedule, and shows one machine or two.
{
  const $ = (id) => document.getElementById(id);
  const SELECTORS = { edge: "epoll (each arrival, once)", rearm: "Windows, poll(2) (drain to re-arm)" };
  const NAMES = { edge: "epoll", rearm: "drain to re-arm" };
  const SOUND = "no rule is broken";

  let schedule = new Schedule();
  let shown = []; // The traces of the machines that are shown.
  const machines = [0, 1].map(() => createMachine({ act, goTo, showRule: showSource }));

  /** Plays the whole schedule under some settings. Returns the catalogue and the steps, from step 0 on. */
  async function trace(settings) {
    const { output, error } = await play(schedule.words(settings).join("\n"));
    if (error) throw new Error(error);
    const [catalogue, ...steps] = output.trimEnd().split("\n").map((line) => JSON.parse(line));
    const { selector, broken } = { ...schedule.settings, ...settings };
    const title = catalogue.breaks.find(({ name }) => name === broken)?.title ?? SOUND;
    return { name: `${NAMES[selector]}: ${title}`, catalogue, steps };
  }

  /** Returns the settings of the machine that is shown beside, or null. */
  function beside() {
    const { selector } = schedule.settings;
    switch ($("beside").value) {
      case "selector": return { selector: selector === "edge" ? "rearm" : "edge" };
      case "sound": return schedule.settings.broken ? { broken: null } : null;
      default: return null;
    }
  }

  let plays = 0;
  /** Plays the schedule anew and shows it, unless another play has begun by then. */
  async function replay() {
    plays += 1;
    const number = plays;
    $("machines").ariaBusy = "true";
    let played;
    let problem = "";
    try {
      played = await Promise.all([{}, beside()].filter(Boolean).map(trace));
    } catch (error) {
      // A word of the address is no action.
      problem = `The schedule cannot be played: ${error.message}`;
      schedule = new Schedule();
      played = [await trace({})];
    }
    if (number !== plays) return;
    shown = played;
    $("error").textContent = problem;
    show();
    $("machines").ariaBusy = "false";
  }

  function show() {
    const { at, steps, settings } = schedule;
    const last = Math.min(at, shown[0].steps.length - 1);
    $("machines").classList.toggle("two", shown.length > 1);
    machines.forEach(({ article }, index) => {
      if (index < shown.length && !article.isConnected) $("machines").append(article);
      if (index >= shown.length) article.remove();
    });
    shown.forEach((played, index) => machines[index].show({ ...played, at: last }));
    $("step").max = steps.length;
    $("step").value = at;
    $("undo").ariaDisabled = String(at === 0);
    $("redo").ariaDisabled = String(at === steps.length);
    const step = shown[0].steps[last];
    const what = step.refused ? `Not possible: ${step.refused}.` : step.what;
    $("step").ariaValueText = `step ${at} of ${steps.length}: ${what}`;
    const verdicts = shown.map(({ steps: played }) => `${played[last].verdict.text}.`).join(" Beside: ");
    $("now").textContent = `Step ${at} of ${steps.length}. ${what} Verdict: ${verdicts}`;
    const { examples, breaks } = shown[0].catalogue;
    const words = schedule.words().join(",");
    const lesson = [...examples, ...breaks].find((one) => normal(one.schedule) === words);
    $("example").value = lesson?.name ?? "";
    $("broken").value = settings.broken ?? "";
    $("selector").value = settings.selector;
    const [backward, forward] = lesson ? ["Back", "Next"] : ["Undo", "Redo"];
    $("undo").querySelector("span").textContent = backward;
    $("redo").querySelector("span").textContent = forward;
    $("hint").textContent = at === 0 && steps.length > 0 ? `“${forward}” plays the next step.` : "";
    showLesson(lesson, breaks.find(({ name }) => name === settings.broken));
    $("link").href = `#${schedule.fragment()}`;
  }

  /** Shows the text of a lesson. Another schedule may not reach what a broken rule leads to, but the lesson of the rule does. */
  function showLesson(lesson, broken) {
    if (lesson || !broken) {
      $("lesson").textContent = lesson?.text ?? "Choose an example, or act: each button is one step of the schedule. For a first echo: Send 1, Turn, Take 1.";
      return;
    }
    const link = Object.assign(document.createElement("button"), { type: "button", className: "link", textContent: `${broken.title}: ${broken.ends}` });
    link.addEventListener("click", () => playLesson(broken));
    $("lesson").replaceChildren("A rule is broken, and this schedule may not show what follows. Its example does: ", link, ".");
  }

  const normal = (text) => Schedule.parse(text).words().join(",");

  // What changes the schedule.

  function goTo(at) {
    schedule.goTo(at);
    show();
    address.replaceSoon(schedule);
  }

  function act(step) {
    const forks = schedule.forks(step);
    if (forks) address.replace(schedule);
    schedule.act(step);
    replay();
    if (forks) address.push(schedule);
    else address.replaceSoon(schedule);
  }

  function load(text) {
    address.replace(schedule);
    schedule = Schedule.parse(text);
    replay();
    address.push(schedule);
  }

  /** Loads a lesson at its start. Beside a broken machine stands the sound one, and beside another poll epoll. */
  function playLesson(lesson) {
    const { broken, selector } = Schedule.parse(lesson.schedule).settings;
    $("beside").value = broken ? "sound" : selector === "rearm" ? "selector" : "";
    load(`${normal(lesson.schedule)}@0`);
  }

  function change(settings) {
    Object.assign(schedule.settings, settings);
    replay();
    address.replaceSoon(schedule);
  }

  address.onChange(() => {
    schedule = address.read();
    replay();
  });

  // The controls.

  $("undo").addEventListener("click", () => goTo(schedule.at - 1));
  $("redo").addEventListener("click", () => goTo(schedule.at + 1));
  $("restart").addEventListener("click", () => load(schedule.settingWords({ sizes: null }).join(",")));
  $("step").addEventListener("input", () => goTo(Number($("step").value)));
  $("selector").addEventListener("change", () => change({ selector: $("selector").value }));
  $("broken").addEventListener("change", () => change({ broken: $("broken").value || null }));
  $("beside").addEventListener("change", replay);
  $("terms").addEventListener("click", showGlossary);
  $("states").addEventListener("click", () => showSource(findLine("src/conn/mod.rs", "`Open`: input is echoed")));
  $("example").addEventListener("change", () => {
    const { examples, breaks } = shown[0].catalogue;
    const chosen = [...examples, ...breaks].find(({ name }) => name === $("example").value);
    if (chosen) playLesson(chosen);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || !$("keys").checked) return;
    if (event.target.matches("input[type=range], dialog *")) return;
    const moves = { ArrowLeft: schedule.at - 1, ArrowRight: schedule.at + 1 };
    // In a list of choices, other keys choose.
    if (!event.target.matches("select")) Object.assign(moves, { Home: 0, End: schedule.steps.length });
    if (event.key in moves) goTo(moves[event.key]);
    else if (!event.target.matches("select") && ACTION_OF_KEY.has(event.key)) actIfPossible(ACTION_OF_KEY.get(event.key));
    else return;
    event.preventDefault();
  });
  function actIfPossible(word) {
    if (shown.some(({ steps }) => steps[schedule.at]?.can.includes(word))) act(word);
  }

  // The start.

  function fill(select, options) {
    select.append(...options.map(([value, label]) => new Option(label, value)));
  }
  function group(label, lessons) {
    const created = Object.assign(document.createElement("optgroup"), { label });
    fill(created, lessons.map(({ name, title, ends }) => [name, ends ? `${title}: ${ends}` : title]));
    return created;
  }
  async function start() {
    const { output } = await play("");
    const { examples, breaks } = JSON.parse(output.slice(0, output.indexOf("\n")));
    fill($("example"), [["", "your own schedule"]]);
    $("example").append(group("Examples", examples), group("A rule is broken", breaks));
    fill($("broken"), [["", SOUND], ...breaks.map(({ name, title }) => [name, title])]);
    fill($("selector"), Object.entries(SELECTORS));
    fill($("beside"), [["", "nothing"], ["selector", "the other poll"], ["sound", "the machine with all rules"]]);
    schedule = address.read();
    await replay();
  }
  start();
}
