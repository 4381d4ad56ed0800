// Extras that every page also works without: keys, live progress, dropping a photo.
"use strict";

// The sentences of scripts in the language of the page, by their English ones: the page has them as a block of
// JSON with the id `sentences`. A sentence may have fields like {count}; numbers are shown as the language does.
const language = document.documentElement.lang || "en";
const country = navigator.languages.find((each) => each.split("-")[0] === language) ?? language;
const sentences = JSON.parse(document.getElementById("sentences")?.textContent || "{}");
const numeral = (value) => (typeof value === "number" ? value.toLocaleString(language) : value);
globalThis.say = (sentence, fields = {}) => (sentences[sentence] ?? sentence)
  .replace(/\{(\w+)\}/g, (whole, name) => (name in fields ? numeral(fields[name]) : whole));

// A key presses the button or link with its data-key, except while the person types in a field.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (document.querySelector("dialog[open]")) return;
  const focused = event.target;
  if (focused.matches("input:not([type=hidden], [type=checkbox], [type=radio], [type=file]), select, textarea")) {
    if (event.key === "Escape") focused.blur();
    // `data-send` may name the button that sends the form.
    if (event.key === "Enter" && focused.matches("select[data-send]") && focused.value)
      focused.form.requestSubmit(document.getElementById(focused.dataset.send));
    return;
  }
  // Enter activates the link or button that has the focus; Space does so with a button.
  if (event.key === "Enter" && focused.matches("a, button, summary, label, input[type=file]")) return;
  if (event.key === " " && focused.matches("button, summary, input")) return;
  // Arrows move a photo that is larger than the window, scroll a wide table, and go from photo to photo.
  if (event.key.startsWith("Arrow")
    && (event.shiftKey || event.defaultPrevented || focused.matches(".scroll") || document.querySelector(".zoom.full"))) return;
  const target = document.querySelector(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
  if (!target || target.closest("[hidden]")) return;
  event.preventDefault();
  // A button that does not work yet does nothing, so the press does not count as the first of two.
  if (target.disabled) return;
  // A second press so soon was meant for the photo before, which another page showed.
  const since = Date.now() - Number(sessionStorage.getItem("pressed"));
  if (since >= 0 && since < 200) return;
  sessionStorage.setItem("pressed", Date.now());
  if (target.matches("select, input, textarea")) target.focus();
  else target.click();
});

// All keys of the page: those of its elements with data-key, and those that an element lists in data-keys.
const keys = document.getElementById("keys");
if (keys) {
  const names = JSON.parse(keys.dataset.names);
  const open = document.querySelector("[data-open=keys]");
  open.hidden = false;
  open.addEventListener("click", () => {
    const rows = keys.querySelector("tbody");
    rows.replaceChildren(...keysOfPage(names).map(([key, text]) => {
      const row = document.createElement("tr");
      row.append(document.createElement("td"), document.createElement("td"));
      const shown = document.createElement("kbd");
      shown.textContent = key;
      row.firstChild.append(shown);
      row.lastChild.textContent = text;
      return row;
    }));
    keys.showModal();
  });
  // The same key closes it. Escape does so in every dialog.
  keys.addEventListener("keydown", (event) => { if (event.key === "?") keys.close(); });
}

function keysOfPage(names) {
  const found = new Map();
  for (const element of document.querySelectorAll("[data-key], [data-keys]")) {
    if (element.closest("[hidden]")) continue;
    const { key, keys: more } = element.dataset;
    for (const [name, text] of more ? JSON.parse(more) : []) found.set(name, text);
    const name = names[key] ?? key;
    if (key && !found.has(name)) found.set(name, labelOf(element));
  }
  return [...found];
}

// What a person reads on an element, without the keys that it shows.
function labelOf(element) {
  const named = element.ariaLabel || element.title;
  if (named) return named;
  const shown = (element.labels?.[0] ?? element).cloneNode(true);
  for (const part of shown.querySelectorAll("kbd, select, input, .count")) part.remove();
  return [...shown.childNodes].map((part) => part.textContent.trim()).join(" ").trim().replace(/\s+/g, " ");
}

// The filters of a list apply when one changes; then their button is not needed.
for (const filters of document.querySelectorAll("form[data-apply]")) {
  for (const button of filters.querySelectorAll("button")) button.hidden = true;
  filters.addEventListener("change", () => filters.requestSubmit());
}

// A click shows every pixel of a photo, a second click the whole photo.
for (const link of document.querySelectorAll("[data-full]"))
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const frame = link.parentElement;
    const photo = link.querySelector("img");
    const before = photo.getBoundingClientRect();
    // A key press has no place in the photo.
    const x = event.detail ? (event.clientX - before.left) / before.width : 0.5;
    const y = event.detail ? (event.clientY - before.top) / before.height : 0.5;
    const center = () =>
      frame.scrollTo(x * photo.width - frame.clientWidth / 2, y * photo.height - frame.clientHeight / 2);
    if (!frame.classList.toggle("full")) return;
    center();
    if (link.dataset.loaded) return;
    link.dataset.loaded = "yes";
    photo.addEventListener("load", center);
    photo.addEventListener("error", () => { photo.src = link.href; }, { once: true });
    photo.src = link.dataset.full;
  });

// A button for the browser's own print dialog.
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}

// A form is sent once, however often its button is pressed.
document.addEventListener("submit", (event) => {
  // A download leaves the page as it is, and a dialog only closes.
  if ("download" in event.target.dataset || event.target.getAttribute("method") === "dialog") return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});

// Moments in the form of the browser's language; the time zone stays that of the installation.
const zone = document.documentElement.dataset.zone;
const forms = {
  minute: { dateStyle: "medium", timeStyle: "short" },
  second: { dateStyle: "medium", timeStyle: "medium" },
  long: { dateStyle: "full", timeStyle: "short" },
};
for (const time of document.querySelectorAll("time[data-form]"))
  time.textContent = new Intl.DateTimeFormat(country, { ...forms[time.dataset.form], timeZone: zone })
    .format(new Date(time.dateTime));

// An open run shows its progress; the page is loaded again when the run is closed.
for (const live of document.querySelectorAll("[data-events]")) follow(live);

function follow(live) {
  const source = new EventSource(live.dataset.events);
  const words = JSON.parse(live.dataset.words);
  // A browser reconnects after a lost connection, but not after an error response.
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(follow, 5000, live);
  });
  source.addEventListener("message", (event) => {
    const now = JSON.parse(event.data);
    if (now.state === "closed") {
      source.close();
      location.reload();
      return;
    }
    const bar = live.querySelector("progress");
    bar.max = Math.max(now.total, 1);
    bar.value = now.done;
    live.querySelector("output").textContent = (words[now.state] ?? now.state)
      .replace("{done}", numeral(now.done))
      .replace("{total}", numeral(now.total));
  });
}

// The name is what is typed next when the form that saves a list opens.
for (const part of document.querySelectorAll(".lists details"))
  part.addEventListener("toggle", () => { if (part.open) part.querySelector("input[type=text]")?.focus(); });

// A total that took too long for the page is counted now.
for (const total of document.querySelectorAll("[data-count]")) count(total);

async function count(total) {
  const before = total.textContent;
  const words = total.dataset;
  total.textContent = words.counting;
  const reply = await fetch(words.count).catch(() => null);
  if (!reply?.ok) {
    total.textContent = before;
    return;
  }
  const found = await reply.json();
  const form = !found.total_is_exact ? words.more : found.total > 1 ? words.many : found.total ? words.one : words.none;
  total.textContent = form.replace("{count}", numeral(found.total));
}

// A page that was opened before a run began or ended says so; it is loaded again if it is not in use.
for (const newer of document.querySelectorAll("[data-versions]"))
  setInterval(async () => {
    if (document.hidden || !newer.hidden) return;
    const reply = await fetch(newer.dataset.versions).catch(() => null);
    if (!reply?.ok || (await reply.json()).version === newer.dataset.version) return;
    const idle = document.activeElement === document.body && !document.querySelector("details[open]") && scrollY < 100;
    if (idle) location.reload();
    else newer.hidden = false;
  }, 10_000);

// An explanation that a worker is still computing is shown when it is there.
for (const open of document.querySelectorAll("[data-wait]")) wait(open, 20);

async function wait(open, times) {
  const reply = await fetch(open.dataset.wait).catch(() => null);
  if (reply?.status === 503 && times > 1) setTimeout(wait, 2000, open, times - 1);
  else if (reply && location.pathname.endsWith("/try")) open.querySelector("a").textContent = say("Show it");
  else if (reply) location.reload();
}

// Where a photo can be chosen, it can also be dropped or pasted.
const drop = document.querySelector(".drop");
if (drop) {
  const input = drop.querySelector("input[type=file]");
  const take = (files) => {
    if (!files.length) return;
    input.files = files;
    drop.closest("form").requestSubmit();
  };
  input.addEventListener("change", () => take(input.files));
  for (const kind of ["dragover", "dragleave", "drop"])
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragover");
      if (kind === "drop") take(event.dataTransfer.files);
    });
  document.addEventListener("paste", (event) => take(event.clipboardData.files));
}
