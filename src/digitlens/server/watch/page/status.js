// Progress of the training in words and numbers; announces only the end of an epoch.
// @ts-check
import { byId } from "./app/dom.js";

const whole = (value) => Math.round(value).toLocaleString("en");
let said = 0; // epochs announced

/**
 * @param {import("./course.js").Course} course
 * @param {boolean} lost Whether the connection to the server is lost.
 */
export function showStatus(course, lost) {
  const { progress, ended } = course;
  document.body.classList.toggle("ended", Boolean(ended));
  document.body.classList.toggle("lost", lost && !ended);
  byId("state").textContent = sentence(course, lost);
  if (!progress) return;
  const share = ended ? 1 : progress.step / progress.steps;
  byId("progress").setAttribute("aria-valuenow", String(Math.round(100 * share)));
  byId("progress").firstElementChild.style.width = `${100 * share}%`;
  const { accuracy } = course;
  byId("n-accuracy").textContent = accuracy === undefined ? "–" : `${(100 * accuracy).toFixed(2)} %`;
  of("n-epoch", progress.epoch, progress.epochs);
  of("n-step", progress.step, progress.steps);
  byId("n-speed").textContent = whole(progress.images_per_second);
  byId("t-left").textContent = ended ? "Trained for" : "Time left";
  byId("n-left").textContent = ended ? duration(spent(course)) : duration(progress.seconds_left);
  document.title = accuracy === undefined ? "digitlens" : `${(100 * accuracy).toFixed(1)} % · digitlens`;
  say(course);
}

function sentence({ progress, ended }, lost) {
  if (ended) return `Training has ended. ${ended}`;
  if (lost) return "The training no longer responds. This is its last known state.";
  if (!progress) return "Waiting for the first step …";
  const member = progress.members > 1 ? `Member ${progress.member} of ${progress.members}: ` : "";
  return `${member}${member ? "learning" : "Learning"} …`;
}

function of(id, value, all) {
  const small = document.createElement("small");
  small.textContent = ` of ${whole(all)}`;
  byId(id).replaceChildren(whole(value), small);
}

const spent = (course) => course.rows.reduce((sum, row) => sum + row.seconds, 0);

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const all = Math.ceil(seconds);
  if (all < 60) return `${all} s`;
  if (all < 3600) return `${Math.floor(all / 60)} min ${all % 60} s`;
  return `${Math.floor(all / 3600)} h ${Math.floor((all % 3600) / 60)} min`;
}

function say(course) {
  const { rows, ended } = course;
  const now = rows.length + (ended ? 1 : 0);
  if (now === said || !now) return;
  said = now;
  const row = rows.at(-1);
  const accuracy = row.val_accuracy ? `: validation accuracy ${(100 * row.val_accuracy).toFixed(1)} %` : "";
  byId("say").textContent = ended ? `Training has ended. ${ended}` : `Epoch ${row.epoch} finished${accuracy}`;
}
