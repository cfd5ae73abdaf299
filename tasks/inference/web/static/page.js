// Which part of the page is shown: the start, the waiting, the result or a fault. Nothing is loaded from elsewhere.
import { listenForVideos } from "./sending.js";
import { showResult } from "./result.js";

const told = JSON.parse(document.body.dataset.told);
const byId = (id) => document.getElementById(id);
const LOOK_MS = 700;

export function show(part) {
  for (const id of ["start", "wait", "fault", "result"]) if (byId(id)) byId(id).hidden = id !== part;
}

export function showFault(words) {
  byId("fault-words").textContent = words;
  show("fault");
}

export function showProgress(words, share) {
  byId("wait-words").textContent = words;
  if (share == null) byId("wait-bar").removeAttribute("value");
  else byId("wait-bar").value = share;
  show("wait");
}

// The answer of the server as an object; what went wrong is an Error with a sentence.
export async function ask(address, options) {
  let answered;
  try {
    answered = await fetch(address, options);
  } catch {
    throw new Error("The server of this page does not answer; is it still running?");
  }
  const text = await answered.text();
  let said = {};
  try {
    said = JSON.parse(text || "{}");
  } catch {
    said = { message: "The server of this page gave an answer that cannot be read; load the page again." };
  }
  if (!answered.ok) throw new Error(said.message || "That did not work; load the page again.");
  return said;
}

function inWords({ state, place, step, share }) {
  if (state === "waiting") return place ? `Waiting: ${place} ${place === 1 ? "video is" : "videos are"} before yours` : "Waiting for its turn";
  if (state === "coming") return "Sending the video";
  return share == null ? step : `${step}: ${Math.round(100 * share)} %`;
}

async function follow(visit) {
  const address = `/visits/${visit}`;
  byId("give-up").onclick = () => remove(visit);
  showProgress("Looking how far it is", null);
  for (;;) {
    let told;
    try {
      told = await ask(`${address}/state`);
    } catch (error) {
      return showFault(error.message);
    }
    if (told.state === "failed") return showFault(told.message);
    if (told.state === "done") break;
    showProgress(inWords(told), told.state === "working" ? told.share : null);
    await new Promise((done) => setTimeout(done, LOOK_MS));
  }
  try {
    const answer = await ask(`${address}/answer`);
    show("result");
    showResult(address, answer);
    byId("delete").onclick = () => remove(visit);
  } catch (error) {
    showFault(error.message);
  }
}

async function remove(visit) {
  try {
    await ask(`/visits/${visit}`, { method: "DELETE" });
    location.assign("/");
  } catch (error) {
    showFault(error.message);
  }
}

if (told.visit) follow(told.visit);
else listenForVideos(told);
