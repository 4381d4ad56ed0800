// Extras that every page also works without: keys, live progress, dropping a photo.
"use strict";

// A key presses the button or link with its data-key, except while the person types in a field.
const opened = performance.now();
document.addEventListener("keydown", (event) => {
  // A second key press within this time was meant for the page before, which showed another photo.
  if (performance.now() - opened < 250) return;
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const focused = event.target;
  if (focused.matches("input:not([type=hidden], [type=checkbox]), select, textarea")) {
    if (event.key === "Escape") focused.blur();
    // `data-send` may name the button that sends the form.
    if (event.key === "Enter" && focused.matches("select[data-send]") && focused.value)
      focused.form.requestSubmit(document.getElementById(focused.dataset.send));
    return;
  }
  // Enter activates the link or button that has the focus.
  if (event.key === "Enter" && focused.matches("a, button, summary, label")) return;
  const target = document.querySelector(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
  if (!target) return;
  event.preventDefault();
  if (target.matches("select, input")) target.focus();
  else target.click();
});

// A form is sent once, however often its button is pressed.
document.addEventListener("submit", (event) => {
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});

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
      .replace("{done}", now.done.toLocaleString("en"))
      .replace("{total}", now.total.toLocaleString("en"));
  });
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
