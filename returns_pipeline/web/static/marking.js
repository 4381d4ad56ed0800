// Marking photos by keys, on pages with many photos. Without it the check boxes and buttons work alone.
"use strict";

const marking = document.querySelector("[data-marking]");
if (marking) {
  const boxes = [...marking.querySelectorAll("input[type=checkbox]")];
  const accept = marking.querySelector("[data-key=enter]");
  if (accept) acceptOnceShown(boxes, accept);
  marking.addEventListener("change", () => count(boxes));
  window.addEventListener("pageshow", () => count(boxes));
  marking.addEventListener("keydown", (event) => {
    const at = boxes.indexOf(event.target);
    // In a check box, Enter would press the form's first button: the keys of page.js decide, never a held key.
    if (at >= 0 && event.key === "Enter") event.preventDefault();
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns(boxes), ArrowDown: columns(boxes) }[event.key];
    if (at < 0 || !step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    boxes[at + step]?.focus();
  });
}

// The button works once all photos are shown, and not within 250 ms: a second key press was meant for the page
// before. A photo that does not load is marked.
function acceptOnceShown(all, accept) {
  accept.disabled = true;
  all[0].focus({ preventScroll: true });
  const seen = all.map(async (box) => {
    const photo = box.parentElement.querySelector("img");
    await photo.decode().catch(() => { box.checked = true; });
  });
  const pause = new Promise((resolve) => { setTimeout(resolve, 250); });
  Promise.all([...seen, pause]).then(() => {
    accept.disabled = false;
    count(all);
  });
}

// The number of check boxes in the first row.
function columns(all) {
  const top = all[0].getBoundingClientRect().top;
  const next = all.findIndex((box) => box.getBoundingClientRect().top > top + 8);
  return next < 0 ? all.length : next;
}

function count(all) {
  const marked = all.filter((box) => box.checked).length;
  const unmarked = marking.querySelector("[data-unmarked]");
  if (unmarked)
    unmarked.textContent = marked
      ? say("Accept {rest}, put {marked} aside", { rest: all.length - marked, marked })
      : say("Accept {rest}", { rest: all.length });
  const shown = marking.querySelector("[data-marked]");
  if (shown) shown.textContent = marked ? say("Marked: {count}", { count: marked }) : say("Mark photos to correct them together.");
}
