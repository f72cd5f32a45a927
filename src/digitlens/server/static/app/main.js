// Assembles the page: modes, messages, keyboard shortcuts, and the wiring between the parts.
// @ts-check
import { askToken, model, MODE, prepare } from "./backend.js";
import { Batch } from "./batch.js";
import { Corrections } from "./corrections.js";
import { byId, onClick } from "./dom.js";
import { DrawBoard } from "./drawboard.js";
import { asCsv, asJson, copy, numbersCsv, save } from "./export.js";
import { History } from "./history.js";
import { startConstraints } from "./constraints.js";
import { Panels } from "./panels.js";
import { PictureBoard } from "./pictureboard.js";
import { startPictures } from "./pictures.js";
import { textOf } from "./reading.js";
import { TableView } from "./table.js";
import { RegionsView } from "./regions.js";
import { startTheme } from "./theme.js";
import { View } from "./view.js";

const BUSY_DELAY = 150; // ms before "Reading …" shows: most readings take less
const COPIED_MS = 1600; // ms

let mode = "draw";
const corrections = new Corrections(() => showCorrections());
const view = new View(corrections, () => boards[mode].remember());
const panels = new Panels(view, { table: new TableView({ fail }), regions: new RegionsView() });
const batch = new Batch((file, signal) => boards.picture.read(file, signal), (entry) => reopen(entry));
const history = new History((entry) => reopen(entry));
const boards = {
  draw: new DrawBoard(pageFor("draw")),
  picture: new PictureBoard(pageFor("picture")),
};

/** The page's interface for a board; ignored while the other board is shown. */
function pageFor(name) {
  const whileShown = (action) => (...args) => (mode === name ? action(...args) : undefined);
  return {
    history,
    corrections,
    corrected: (entry) => batch.put(entry),
    show: whileShown((shown, empty) => {
      if (shown) fail(null);
      panels.show(shown, empty);
      showModel();
    }),
    refresh: whileShown(() => panels.refresh()),
    busy: whileShown(busy),
    fail: whileShown(fail),
  };
}

function setMode(name) {
  mode = name;
  for (const each of ["draw", "picture"]) {
    byId(`mode-${each}`).setAttribute("aria-pressed", String(each === name));
    byId(`${each}-tools`).hidden = each !== name;
  }
  byId("stage").dataset.mode = name;
  byId("stage").classList.remove("enlarged");
  byId("paper").hidden = name !== "draw";
  for (const id of ["sheet", "hint-draw", "hint-picture"]) byId(id).hidden = true;
  busy("");
  fail(null);
  boards[name].show();
}

function reopen(entry) {
  setMode(entry.kind === "picture" ? "picture" : "draw");
  if (entry.kind === "picture") boards.picture.showEntry(entry);
  else boards.draw.open(entry);
  byId("stage").scrollIntoView({ block: "nearest" });
}

let busyTimer;

function busy(text) {
  clearTimeout(busyTimer);
  byId("busy").lastElementChild.textContent = text;
  if (!text) byId("busy").hidden = true;
  else busyTimer = setTimeout(() => (byId("busy").hidden = false), BUSY_DELAY);
}

async function fail(error, retry) {
  byId("notice").hidden = !error;
  if (!error) return;
  busy("");
  if (error.kind === "token" && (await askToken())) {
    fail(null);
    retry?.();
    return;
  }
  byId("notice-text").textContent = error.kind ? error.message : `Unexpected error: ${error.message}`;
  byId("retry").hidden = !retry || ["type", "large", "known"].includes(error.kind);
  byId("retry").onclick = () => {
    fail(null);
    retry();
  };
}

function showModel() {
  const hash = model.sha256 ? ` ${model.sha256.slice(0, 12)}` : "";
  byId("model").textContent = model.name ? `Model ${model.name}${hash}` : "";
}

function showCorrections() {
  const { digits, none } = corrections.counts;
  const parts = [`${digits} ${digits === 1 ? "digit" : "digits"}`];
  if (none) parts.push(`${none} marked as not a digit, left out of the data set`);
  const full = corrections.isFull ? " This browser's storage is full: download and delete them." : "";
  byId("kept").hidden = !digits && !none;
  byId("kept-text").textContent = `${parts.join("; ")}.${full}`;
  byId("kept-save").disabled = !digits;
}

function startSaving() {
  const reading = () => view.shown.reading;
  const stem = () => reading().name.replace(/\.\w+$/, "") || "reading";
  onClick("save-json", () => save(`${stem()}.json`, "application/json", asJson(reading())));
  onClick("save-csv", () => save(`${stem()}.csv`, "text/csv", asCsv(reading())));
  onClick("save-numbers", () => save(`${stem()}-numbers.csv`, "text/csv", numbersCsv([reading()])));
  onClick("copy", async () => {
    await copy(textOf(reading()));
    byId("copy").textContent = "Copied";
    setTimeout(() => (byId("copy").textContent = "Copy text"), COPIED_MS);
  });
  onClick("kept-save", async () => {
    save("corrections.zip", "application/zip", await corrections.dataset());
  });
  onClick("kept-delete", () => corrections.clear());
}

/** Keyboard shortcuts that work anywhere except in input fields. */
function listenKeys() {
  document.addEventListener("keydown", (event) => {
    const target = /** @type {Element} */ (event.target);
    if (target.matches("input:not([type=range], [type=checkbox]), select, textarea")) return;
    if (document.querySelector("dialog[open]") || event.altKey) return;
    const command = event.ctrlKey || event.metaKey ? commandKey(event) : plainKey(event);
    if (!command) return;
    event.preventDefault();
    command();
  });
}

function commandKey(event) {
  if (mode !== "draw") return undefined;
  const key = event.key.toLowerCase();
  if (key === "y" || (key === "z" && event.shiftKey)) return () => boards.draw.redo();
  return key === "z" ? () => boards.draw.undo() : undefined;
}

function plainKey({ key }) {
  const canCorrect = view.isPicked || byId("strip").contains(document.activeElement);
  if (canCorrect && /^\d$/.test(key)) return () => view.correct(Number(key));
  if (canCorrect && ["x", "Delete"].includes(key)) return () => view.correct("none");
  if (canCorrect && key === "Backspace") return () => view.undoCorrection();
  if (mode === "draw" && key === "p") return () => boards.draw.selectTool("pen");
  return mode === "draw" && key === "e" ? () => boards.draw.selectTool("eraser") : undefined;
}

const PRIVACY = {
  server: "Drawings and pictures are sent to this server for reading and are not stored.",
  browser: "Everything runs in this browser. Your drawings and pictures never leave it.",
};

function start() {
  byId("privacy").textContent = PRIVACY[MODE];
  byId("view-table").hidden = MODE === "browser"; // tables need a server
  for (const each of ["draw", "picture"]) onClick(`mode-${each}`, () => setMode(each));
  onClick("dismiss", () => fail(null));
  startPictures((files) => {
    if (mode !== "picture") setMode("picture");
    if (files.length > 1) batch.add(files);
    else boards.picture.open(files[0]);
  });
  startConstraints(() => boards[mode].readAgain());
  startTheme(() => {
    boards.draw.paper.repaint();
    history.paint();
  });
  startSaving();
  listenKeys();
  showCorrections();
  setMode("draw");
  prepare((share) => busy(share < 1 ? `Loading the reader: ${Math.round(100 * share)} %` : ""))
    .then(showModel)
    .catch((error) => fail(error));
}

start();
