// The ways a picture comes in: dropped, pasted, chosen, or taken by the camera.
// @ts-check
import { byId, onClick } from "./dom.js";

/** @param {(files: File[]) => void} open Called with at least one file. */
export function startPictures(open) {
  const opened = (list) => {
    const files = [...(list ?? [])].filter((each) => each instanceof File);
    if (files.length) open(files);
  };
  for (const id of ["file", "capture"]) listenInput(byId(id), opened);
  for (const id of ["choose", "choose-here"]) onClick(id, () => byId("file").click());
  onClick("photograph", () => photograph(opened));
  listenDrop(opened);
  document.addEventListener("paste", (event) => {
    const focus = /** @type {Element} */ (event.target);
    if (focus.matches?.("input, textarea")) return;
    opened(event.clipboardData?.files);
  });
}

function listenInput(input, opened) {
  input.addEventListener("change", () => {
    opened(input.files);
    input.value = ""; // so that the same file can be chosen again
  });
}

function listenDrop(opened) {
  let depth = 0; // a pointer enters the parts of the page before it leaves the page
  const veil = (more) => {
    depth = Math.max(0, depth + more);
    byId("veil").hidden = depth === 0;
  };
  const carries = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragenter", (event) => carries(event) && veil(1));
  document.addEventListener("dragleave", (event) => carries(event) && veil(-1));
  document.addEventListener("dragover", (event) => carries(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    veil(-Infinity);
    opened(event.dataTransfer.files);
  });
}

const REFUSALS = {
  NotAllowedError: "The camera was refused. It can be allowed in the settings of this browser.",
  NotFoundError: "There is no camera here.",
  NotReadableError: "The camera is used by another program.",
};

/** Opens the camera; where the browser has none for this page, its own way to take a photo. */
async function photograph(opened) {
  if (!navigator.mediaDevices?.getUserMedia) {
    byId("capture").click(); // pages that came without TLS may not use the camera themselves
    return;
  }
  const dialog = byId("camera");
  let stream = null;
  showCamera("Waiting for the camera …", false);
  dialog.onclose = () => stream?.getTracks().forEach((track) => track.stop());
  byId("camera-close").onclick = () => dialog.close();
  byId("camera-file").onclick = () => {
    dialog.close();
    byId("capture").click();
  };
  dialog.showModal();
  try {
    const wanted = { facingMode: "environment", width: { ideal: 1920 }, height: { ideal: 1440 } };
    stream = await navigator.mediaDevices.getUserMedia({ video: wanted });
  } catch (error) {
    showCamera(REFUSALS[error.name] ?? `The camera cannot be used: ${error.message}.`, true);
    return;
  }
  if (!dialog.open) dialog.onclose(); // closed while the browser asked
  else await look(stream, opened);
}

async function look(stream, opened) {
  const video = byId("video");
  video.srcObject = stream;
  await video.play();
  showCamera("", false);
  byId("shoot").focus();
  byId("shoot").onclick = async () => {
    const file = await still(video);
    byId("camera").close();
    opened([file]);
  };
}

async function still(video) {
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  canvas.getContext("2d").drawImage(video, 0, 0);
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 });
  return new File([blob], "photo.jpg", { type: "image/jpeg" });
}

function showCamera(text, instead) {
  byId("camera-text").hidden = !text;
  byId("camera-text").textContent = text;
  byId("video").hidden = Boolean(text);
  byId("shoot").hidden = Boolean(text);
  byId("camera-file").hidden = !instead;
}
