// On a touch screen, a swipe of the photo to the right accepts it; one to the left opens the list of categories.
"use strict";

const card = document.querySelector("[data-swipe]");
const far = 80; // pixels that a finger moves at least; less is a tap or a scroll
let start = null;

function settle() {
  start = null;
  card.style.translate = "";
  delete card.dataset.towards;
}

card?.addEventListener("pointerdown", (event) => {
  if (event.pointerType !== "mouse" && event.isPrimary) start = event;
});
card?.addEventListener("pointermove", (event) => {
  if (!start) return;
  const moved = event.clientX - start.clientX;
  card.style.translate = `${moved}px`;
  card.dataset.towards = moved > far ? "accept" : moved < -far ? "list" : "";
});
card?.addEventListener("pointercancel", settle);
card?.addEventListener("pointerup", () => {
  const { towards } = card.dataset;
  settle();
  if (towards === "accept") document.querySelector("[data-key=enter]").click();
  if (towards === "list") {
    const list = document.querySelector("select[data-key=c]");
    list.focus();
    list.showPicker?.();
  }
});
