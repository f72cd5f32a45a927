// Progress of the training in words and numbers; announces only the end of an epoch.
// @ts-check
import { byId } from "./app/dom.js";

const formatWhole = (value) => Math.round(value).toLocaleString("en");
let announcedEpochs = 0; // epochs announced

/**
 * @param {import("./course.js").Course} course
 * @param {boolean} isLost Whether the connection to the server is lost.
 */
export function showStatus(course, isLost) {
  const { progress, ended } = course;
  document.body.classList.toggle("ended", Boolean(ended));
  document.body.classList.toggle("lost", isLost && !ended);
  byId("state").textContent = stateText(course, isLost);
  if (!progress) return;
  const share = ended ? 1 : progress.step / progress.steps;
  byId("progress").setAttribute("aria-valuenow", String(Math.round(100 * share)));
  byId("progress").firstElementChild.style.width = `${100 * share}%`;
  const { accuracy } = course;
  byId("n-accuracy").textContent = accuracy === undefined ? "–" : `${(100 * accuracy).toFixed(2)} %`;
  showCount("n-epoch", progress.epoch, progress.epochs);
  showCount("n-step", progress.step, progress.steps);
  byId("n-speed").textContent = formatWhole(progress.images_per_second);
  byId("t-left").textContent = ended ? "Trained for" : "Time left";
  byId("n-left").textContent = ended ? duration(secondsSpent(course)) : duration(progress.seconds_left);
  document.title = accuracy === undefined ? "digitlens" : `${(100 * accuracy).toFixed(1)} % · digitlens`;
  announceEpoch(course);
}

function stateText({ progress, ended }, isLost) {
  if (ended) return `Training has ended. ${ended}`;
  if (isLost) return "The training no longer responds. This is its last known state.";
  if (!progress) return "Waiting for the first step …";
  const member = progress.members > 1 ? `Member ${progress.member} of ${progress.members}: ` : "";
  return `${member}${member ? "learning" : "Learning"} …`;
}

function showCount(id, value, all) {
  const small = document.createElement("small");
  small.textContent = ` of ${formatWhole(all)}`;
  byId(id).replaceChildren(formatWhole(value), small);
}

const secondsSpent = (course) => course.rows.reduce((sum, row) => sum + row.seconds, 0);

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const total = Math.ceil(seconds);
  if (total < 60) return `${total} s`;
  if (total < 3600) return `${Math.floor(total / 60)} min ${total % 60} s`;
  return `${Math.floor(total / 3600)} h ${Math.floor((total % 3600) / 60)} min`;
}

function announceEpoch(course) {
  const { rows, ended } = course;
  const finished = rows.length + (ended ? 1 : 0);
  if (finished === announcedEpochs || !finished) return;
  announcedEpochs = finished;
  const row = rows.at(-1);
  const accuracy = row.val_accuracy ? `: validation accuracy ${(100 * row.val_accuracy).toFixed(1)} %` : "";
  byId("say").textContent = ended ? `Training has ended. ${ended}` : `Epoch ${row.epoch} finished${accuracy}`;
}
