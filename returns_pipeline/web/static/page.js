// What a page can do without, but is quicker with: keys, live progress, dropping a photo.
"use strict";

// Keys: a button or link with data-key is pressed by that key, unless somebody types.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const at = event.target;
  if (at.matches("input:not([type=hidden]), select, textarea")) {
    if (event.key === "Escape") at.blur();
    if (event.key === "Enter" && at.matches("select[data-send]") && at.value) at.form.requestSubmit();
    return;
  }
  // Enter on what has the focus means that.
  if (event.key === "Enter" && at.closest("a, button, summary, label")) return;
  const target = document.querySelector(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
  if (!target) return;
  event.preventDefault();
  if (target.matches("select, input")) target.focus();
  else target.click();
});

// A form is sent once, however often somebody presses.
document.addEventListener("submit", (event) => {
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});

// A run that is open: its progress while it happens, and the whole page once it is closed.
for (const live of document.querySelectorAll("[data-events]")) follow(live);

function follow(live) {
  const source = new EventSource(live.dataset.events);
  // A browser tries again by itself after a broken line, but not after a refusal.
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
    live.querySelector("output").textContent =
      `${now.state}: ${now.done.toLocaleString("en")} of ${now.total.toLocaleString("en")} images`;
  });
}

// A photo can be dropped, or pasted, where it can be chosen.
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
