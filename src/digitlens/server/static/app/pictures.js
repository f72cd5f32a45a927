// Picture input: drag and drop, paste, file chooser and camera.
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
    input.value = ""; // allows choosing the same file again
  });
}

function listenDrop(opened) {
  let depth = 0; // entered elements: dragenter on a child precedes dragleave on its parent
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
  NotAllowedError: "Camera access was denied. Allow it in the browser settings.",
  NotFoundError: "No camera found.",
  NotReadableError: "The camera is in use by another program.",
};

/** Opens the camera dialog; falls back to the browser's own capture without camera access. */
async function photograph(opened) {
  if (!navigator.mediaDevices?.getUserMedia) {
    byId("capture").click(); // pages without TLS have no camera API
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
  if (!dialog.open) dialog.onclose(); // closed during the permission prompt
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
