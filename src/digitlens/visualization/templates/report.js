"use strict";
// Without this script the page has the same content: cells are links, and marks have titles.
document.documentElement.classList.add("js");

const cells = [...document.querySelectorAll(".matrix a")];
const panels = document.querySelector(".panels");
const tip = document.getElementById("tip");

function choose(name) {
  for (const cell of cells) {
    cell.setAttribute("aria-expanded", String(cell.hash === "#" + name));
  }
  for (const panel of panels.querySelectorAll(".panel")) {
    panel.classList.toggle("open", panel.id === name);
  }
  panels.classList.toggle("chosen", cells.some((cell) => cell.hash === "#" + name));
}

function leave() {
  const cell = cells.find((each) => each.getAttribute("aria-expanded") === "true");
  choose("");
  if (cell) cell.focus();
}

for (const cell of cells) {
  cell.setAttribute("role", "button");
  cell.setAttribute("aria-controls", cell.hash.slice(1));
  cell.setAttribute("aria-expanded", "false");
  cell.addEventListener("click", (event) => {
    event.preventDefault(); // keeps the scroll position
    const isOpen = cell.getAttribute("aria-expanded") === "true";
    choose(isOpen ? "" : cell.hash.slice(1));
    if (!isOpen) panels.scrollIntoView({ block: "nearest" });
  });
  cell.addEventListener("keydown", (event) => {
    if (event.key === " ") {
      event.preventDefault();
      cell.click();
    }
  });
}

for (const close of document.querySelectorAll(".close")) {
  close.addEventListener("click", (event) => {
    event.preventDefault();
    leave();
  });
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") leave();
});

// Arrow keys move between cells.
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
document.querySelector(".matrix").addEventListener("keydown", (event) => {
  const step = STEPS[event.key];
  if (!step || !cells.includes(event.target)) return;
  event.preventDefault();
  let [, truth, answer] = event.target.hash.split("-").map(Number);
  for (;;) {
    [truth, answer] = [truth + step[0], answer + step[1]];
    if (truth < 0 || truth > 9 || answer < 0 || answer > 9) return;
    const next = cells.find((cell) => cell.hash === `#cell-${truth}-${answer}`);
    if (next) return next.focus();
  }
});

// Replaces the titles of marks by a tooltip that appears at once.
for (const title of document.querySelectorAll("svg title")) {
  title.parentElement.dataset.tip = title.textContent;
  title.remove();
}

document.addEventListener("pointerover", (event) => {
  const text = event.target.dataset && event.target.dataset.tip;
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const box = event.target.getBoundingClientRect();
  const left = box.left + box.width / 2 - tip.offsetWidth / 2;
  tip.style.left = Math.max(8, Math.min(left, innerWidth - tip.offsetWidth - 8)) + "px";
  tip.style.top = (box.top > 60 ? box.top - tip.offsetHeight - 6 : box.bottom + 6) + "px";
});
document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });

// Highlights the visible section in the table of contents.
const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash, link]));
const watcher = new IntersectionObserver((seen) => {
  for (const { target, isIntersecting } of seen) {
    const link = links.get("#" + target.id);
    if (isIntersecting) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}, { rootMargin: "-30% 0px -69% 0px" });
for (const section of document.querySelectorAll("main > section")) watcher.observe(section);

choose(location.hash.slice(1));
addEventListener("hashchange", () => choose(location.hash.slice(1)));
