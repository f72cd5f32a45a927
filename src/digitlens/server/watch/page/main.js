// Assembles the training page: receives updates from the server and passes them to the views.
// @ts-check
import { byId } from "./app/dom.js";
import { startTheme } from "./app/theme.js";
import { Board } from "./board.js";
import { Course } from "./course.js";
import { Curves } from "./curves.js";
import { Errors } from "./errors.js";
import { showStatus } from "./status.js";

const FIELDS = ["architecture", "widths", "optimizer", "learning_rate", "batch_size", "epochs", "seed"];

const course = new Course();
const curves = new Curves();
const errors = new Errors();
const board = new Board();
let isLost = false;
let hasNewCheck = false;
let frame = 0;

/** Updates the page before the next frame; combines updates that arrive faster. */
function show() {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    showStatus(course, isLost);
    curves.show(course);
    if (hasNewCheck) errors.show(course);
    hasNewCheck = false;
  });
}

async function loadSubject() {
  const [subject, tiles] = await Promise.all([
    fetch("subject").then((response) => response.json()),
    fetch("tiles").then((response) => response.arrayBuffer()),
  ]);
  errors.tiles = new Uint8Array(tiles);
  byId("run").textContent = subject.name;
  byId("sample").textContent =
    `Training: each batch, and the moving mean. Validation: ${subject.sample}, about once per ` +
    "second; dots: all validation tiles, after each epoch.";
  const fields = FIELDS.filter((field) => field in subject.recipe);
  byId("recipe").textContent = fields.map((field) => `${field} ${subject.recipe[field]}`).join(" · ");
}

function listen() {
  const source = new EventSource("news");
  source.addEventListener("open", async () => {
    isLost = false;
    await loadSubject();
    hasNewCheck = true;
    show();
  });
  source.addEventListener("message", (event) => {
    if (course.add(JSON.parse(event.data))) {
      hasNewCheck = true;
      board.renew(course.checks.at(-1)?.[0] ?? 0);
    }
    show();
  });
  source.addEventListener("error", () => {
    isLost = true;
    if (course.ended) source.close(); // no more updates
    show();
  });
}

startTheme(() => board.paper.repaint());
listen();
