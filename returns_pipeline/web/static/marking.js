// Marking photos by keys, on pages with many photos. Without it the check boxes and buttons work alone.
"use strict";

const marking = document.querySelector("[data-marking]");
if (marking) {
  const boxes = [...marking.querySelectorAll("input[type=checkbox]")];
  const accept = marking.querySelector("[data-key=enter]");
  if (accept) acceptOnceShown(boxes, accept);
  for (const part of marking.querySelectorAll(".with-script")) part.hidden = false;
  for (const button of marking.querySelectorAll("[data-mark]"))
    button.addEventListener("click", () => mark(boxes, button.dataset.mark === "all"));
  // Where a range begins: the box that was marked, or that had the focus, before.
  let anchor = 0;
  let shifted = false;
  marking.addEventListener("change", () => count(boxes));
  window.addEventListener("pageshow", () => count(boxes));
  marking.addEventListener("click", (event) => {
    // A click on a label clicks its box too, without the keys that are held.
    if (event.isTrusted && event.target.type !== "checkbox") shifted = event.shiftKey;
    const at = boxes.indexOf(event.target);
    if (at < 0) return;
    if (event.shiftKey || shifted)
      mark(boxes.slice(Math.min(anchor, at), Math.max(anchor, at) + 1), event.target.checked);
    shifted = false;
    anchor = at;
  });
  marking.addEventListener("keydown", (event) => {
    const at = boxes.indexOf(event.target);
    // In a check box, Enter would press the form's first button: the keys of page.js decide, never a held key.
    if (at >= 0 && event.key === "Enter") event.preventDefault();
    if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key.toLowerCase() === "x") {
      event.preventDefault();
      if (!event.repeat) boxes[at].click();
      return;
    }
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns(boxes), ArrowDown: columns(boxes) }[event.key];
    if (!step) return;
    event.preventDefault();
    const to = boxes[at + step];
    if (!to) return;
    if (event.shiftKey) mark(boxes.slice(Math.min(at, at + step), Math.max(at, at + step) + 1), true);
    to.focus();
    anchor = boxes.indexOf(to);
  });
  // Without the focus in a photo, x goes to the first one.
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "x" || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (boxes.length && document.activeElement === document.body) boxes[0].focus();
  });
}

function mark(some, checked) {
  for (const box of some) box.checked = checked;
  marking.dispatchEvent(new Event("change"));
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
  if (shown) shown.textContent = marked ? say("Marked: {count}", { count: marked }) : (shown.dataset.none ?? say("Mark photos to correct them together."));
}
