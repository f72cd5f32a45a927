// Picture input: drag and drop, paste, file chooser and camera.
// @ts-check
import { byId, onClick } from "./dom.js";

/** @param {(files: File[]) => void} open Called with at least one file. */
export function startPictures(open) {
  const openFiles = (list) => {
    const files = [...(list ?? [])].filter((each) => each instanceof File);
    if (files.length) open(files);
  };
  for (const id of ["file", "capture"]) listenInput(byId(id), openFiles);
  for (const id of ["choose", "choose-here"]) onClick(id, () => byId("file").click());
  onClick("photograph", () => photograph(openFiles));
  listenDrop(openFiles);
  document.addEventListener("paste", (event) => {
    const target = /** @type {Element} */ (event.target);
    if (target.matches?.("input, textarea")) return;
    openFiles(event.clipboardData?.files);
  });
}

function listenInput(input, openFiles) {
  input.addEventListener("change", () => {
    openFiles(input.files);
    input.value = ""; // allows choosing the same file again
  });
}

function listenDrop(openFiles) {
  let depth = 0; // entered elements: dragenter on a child precedes dragleave on its parent
  const changeDepth = (change) => {
    depth = Math.max(0, depth + change);
    byId("veil").hidden = depth === 0;
  };
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragenter", (event) => hasFiles(event) && changeDepth(1));
  document.addEventListener("dragleave", (event) => hasFiles(event) && changeDepth(-1));
  document.addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    changeDepth(-Infinity);
    openFiles(event.dataTransfer.files);
  });
}

const REFUSALS = {
  NotAllowedError: "Camera access was denied. Allow it in the browser settings.",
  NotFoundError: "No camera found.",
  NotReadableError: "The camera is in use by another program.",
};

/** Opens the camera dialog; falls back to the browser's own capture without camera access. */
async function photograph(openFiles) {
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
    const constraints = { facingMode: "environment", width: { ideal: 1920 }, height: { ideal: 1440 } };
    stream = await navigator.mediaDevices.getUserMedia({ video: constraints });
  } catch (error) {
    showCamera(REFUSALS[error.name] ?? `The camera cannot be used: ${error.message}.`, true);
    return;
  }
  if (!dialog.open) dialog.onclose(); // closed during the permission prompt
  else await showStream(stream, openFiles);
}

async function showStream(stream, openFiles) {
  const video = byId("video");
  video.srcObject = stream;
  await video.play();
  showCamera("", false);
  byId("shoot").focus();
  byId("shoot").onclick = async () => {
    const file = await capturePhoto(video);
    byId("camera").close();
    openFiles([file]);
  };
}

async function capturePhoto(video) {
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  canvas.getContext("2d").drawImage(video, 0, 0);
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 });
  return new File([blob], "photo.jpg", { type: "image/jpeg" });
}

function showCamera(text, offersFile) {
  byId("camera-text").hidden = !text;
  byId("camera-text").textContent = text;
  byId("video").hidden = Boolean(text);
  byId("shoot").hidden = Boolean(text);
  byId("camera-file").hidden = !offersFile;
}
