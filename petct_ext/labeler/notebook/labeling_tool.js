// Shows what petct_ext.labeler.notebook.tool sends and sends back answers. All text is set as text, not HTML.

const KEYS = ["1", "2", "3", "4"];
const UNDO = ["u", "U"];
const PATIENCE_MS = 8000;

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function button(title, key, className, act) {
  const made = element("button", `petct-button ${className}`, title + " ");
  made.type = "button";
  made.append(element("kbd", "petct-key", key));
  made.addEventListener("click", act);
  return made;
}

function mentionElements(mention) {
  const head = element("div", "petct-head");
  head.append(element("span", "petct-region", mention.region));
  head.append(element("span", "petct-section", mention.section));
  const text = element("p", "petct-text");
  if (mention.before) text.append(element("span", "petct-near", mention.before + " "));
  const sentence = element("span", "petct-sentence");
  sentence.append(mention.left, element("mark", "petct-mention", mention.words), mention.right);
  text.append(sentence);
  if (mention.after) text.append(element("span", "petct-near", " " + mention.after));
  return [head, text];
}

function progressElements(view) {
  const total = view.num_judged + view.num_left;
  const bar = element("progress", "petct-progress");
  bar.max = Math.max(1, total);
  bar.value = view.num_judged;
  const counts = view.answers.map((a) => `${view.counts[a.value]} ${a.title.toLowerCase()}`);
  const told = `${view.num_judged} of ${total} judged (${counts.join(", ")})`;
  const line = element("div", "petct-line");
  line.append(bar, element("span", "petct-count", told));
  return line;
}

function noticeElements(view) {
  const notices = [];
  if (view.error) notices.push(element("div", "petct-error", view.error));
  if (view.cut_line) {
    const told = `Line ${view.cut_line} of ${view.file} was cut off when its process ended: judge that mention again.`;
    notices.push(element("div", "petct-warning", told));
  }
  return notices;
}

function render({ model, el }) {
  const root = element("div", "petct-tool");
  root.tabIndex = 0;
  el.append(root);
  let view = null;
  let busy = true;
  let timer = 0;

  function send(message) {
    busy = true;
    root.classList.add("petct-busy");
    clearTimeout(timer);
    timer = setTimeout(tellSilence, PATIENCE_MS);
    model.send({ ...message, turn: view === null ? -1 : view.turn });
  }

  function tellSilence() {
    const told =
      "The kernel does not reply: the last answer may not be saved. Restart it and run the cell again; all earlier answers are kept.";
    root.prepend(element("div", "petct-error", told));
  }

  function act(message) {
    if (!busy && view !== null) send(message);
  }

  function answer(index) {
    if (view !== null && view.mention) act({ action: "answer", answer: view.answers[index].value });
  }

  function draw() {
    const parts = noticeElements(view);
    if (view.mention) parts.push(...mentionElements(view.mention));
    else parts.push(element("p", "petct-text", "All mentions are judged."));
    const buttons = element("div", "petct-line");
    if (view.mention) {
      view.answers.forEach((a, i) =>
        buttons.append(button(a.title, KEYS[i], `petct-${a.value}`, () => answer(i))),
      );
    }
    const undo = button("Undo", "U", "petct-undo", () => act({ action: "undo" }));
    undo.disabled = view.num_judged === 0;
    buttons.append(undo);
    parts.push(buttons, progressElements(view));
    const hint = element("div", "petct-hint", `Saved in ${view.file}. `);
    hint.append(element("span", "petct-unfocused", "Click here, then the keys work."));
    parts.push(hint);
    const hadFocus = root.contains(document.activeElement);
    root.replaceChildren(...parts);
    if (hadFocus) root.focus({ preventScroll: true });
  }

  function onMessage(message) {
    view = message;
    busy = false;
    clearTimeout(timer);
    root.classList.remove("petct-busy");
    root.dataset.turn = String(view.turn);
    draw();
  }

  // JupyterLab listens at the document while an event comes down, and takes plain keys as commands
  // (1 makes the cell a heading, X cuts it), so they must be caught one step above, at the window.
  function onKey(event) {
    if (!root.contains(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.shiftKey && !UNDO.includes(event.key)) return;
    event.stopImmediatePropagation();
    const index = KEYS.indexOf(event.key);
    if (event.repeat || (index < 0 && !UNDO.includes(event.key))) return;
    event.preventDefault();
    if (index >= 0) answer(index);
    else act({ action: "undo" });
  }

  window.addEventListener("keydown", onKey, true);
  root.addEventListener("click", () => root.focus({ preventScroll: true }));
  model.on("msg:custom", onMessage);
  send({ action: "show" });
  return () => {
    clearTimeout(timer);
    window.removeEventListener("keydown", onKey, true);
    model.off("msg:custom", onMessage);
  };
}

export default { render };
