// A video from a file, a drop or the camera to the server.
import { ask, show, showProgress } from "./page.js";

const byId = (id) => document.getElementById(id);
const MOST_RECORDED_S = 60;

export function listenForVideos(told) {
  const drop = byId("drop");
  byId("file").onchange = (event) => event.target.files[0] && send(event.target.files[0], event.target.files[0].name, told);
  for (const kind of ["dragenter", "dragover", "dragleave", "drop"])
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over-it", kind === "dragenter" || kind === "dragover");
    });
  drop.addEventListener("drop", (event) => {
    const file = event.dataTransfer.files[0];
    if (file) send(file, file.name, told);
  });
  if (navigator.mediaDevices?.getUserMedia && window.MediaRecorder) {
    byId("record").hidden = false;
    byId("record").onclick = () => record(told);
  }
}

function complain(words) {
  show("start");
  byId("file").value = "";
  byId("start-fault").textContent = words;
}

async function send(blob, name, told) {
  byId("start-fault").textContent = "";
  if (!told.suffixes.some((suffix) => name.toLowerCase().endsWith(suffix)))
    return complain("This is no video by its name; send one that ends in .mp4, .mov, .webm or the like.");
  if (blob.size > told.uploadBytes)
    return complain(`The file is larger than ${told.uploadMb} MB, the most that is taken here; send a shorter one.`);
  try {
    await ask("/room");
  } catch (error) {
    return complain(error.message);
  }
  const model = document.querySelector("input[name=model]:checked").value;
  const faces = byId("all-faces").checked ? "all" : "one";
  const request = new XMLHttpRequest(); // fetch does not tell how much has gone up
  request.open("POST", `/visits?${new URLSearchParams({ model, name, faces })}`);
  request.upload.onprogress = (event) =>
    event.lengthComputable && showProgress(`Sending the video: ${Math.round((100 * event.loaded) / event.total)} %`, event.loaded / event.total);
  request.onload = () => {
    let said = {};
    try {
      said = JSON.parse(request.responseText);
    } catch {
      // told below
    }
    if (request.status === 201) location.assign(`/visits/${said.visit}`);
    else complain(said.message || "The video was not taken; load the page again.");
  };
  request.onerror = () => complain("The video could not be sent; is the server of this page still running?");
  byId("give-up").onclick = () => {
    request.abort();
    complain("");
  };
  showProgress("Sending the video", 0);
  request.send(blob);
}

async function record(told) {
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, facingMode: "user" } });
  } catch {
    return complain("The camera may not be used or is not there; allow it for this page, or choose a file.");
  }
  const camera = byId("camera");
  const take = byId("take");
  const kind = ["video/webm;codecs=vp8", "video/webm", "video/mp4"].find((one) => MediaRecorder.isTypeSupported(one));
  const recorder = new MediaRecorder(stream, { mimeType: kind, videoBitsPerSecond: 4e6 });
  const parts = [];
  let clock;
  const close = () => {
    clearInterval(clock);
    stream.getTracks().forEach((track) => track.stop());
    camera.srcObject = null;
    take.textContent = "Start recording";
    byId("taken").textContent = "";
    byId("recorder").hidden = true;
    byId("drop").hidden = false;
  };
  recorder.ondataavailable = (event) => parts.push(event.data);
  take.onclick = () => {
    if (recorder.state === "recording") return recorder.stop();
    const begun = performance.now();
    recorder.onstop = () => {
      close();
      send(new Blob(parts, { type: kind }), kind.startsWith("video/webm") ? "recording.webm" : "recording.mp4", told);
    };
    recorder.start(1000);
    take.textContent = "Stop and send";
    clock = setInterval(() => {
      const taken_s = (performance.now() - begun) / 1000;
      byId("taken").textContent = `${Math.floor(taken_s)} s of at most ${MOST_RECORDED_S} s`;
      if (taken_s >= MOST_RECORDED_S && recorder.state === "recording") recorder.stop();
    }, 250);
  };
  byId("cancel").onclick = () => {
    recorder.onstop = null;
    if (recorder.state === "recording") recorder.stop();
    close();
  };
  camera.srcObject = stream;
  await camera.play();
  byId("drop").hidden = true;
  byId("recorder").hidden = false;
  take.focus();
}
