// The annotated video, what is said at the moment that it shows, and where the model looked there.
import { ask } from "./page.js";
import { Timeline } from "./timeline.js";

const byId = (id) => document.getElementById(id);
const percent = (share) => `${Math.round(100 * share)} %`;

export function showResult(address, answer) {
  const player = byId("player");
  const bars = answer.labels.map((label, number) => bar(label, answer.colours[number]));
  byId("bars").replaceChildren(...bars.map((one) => one.item));
  byId("get-frames").href = `${address}/frames.csv`;
  byId("get-segments").href = `${address}/segments.csv`;
  byId("get-video").href = `${address}/${answer.is_still ? "picture.png" : "video.mp4"}`;
  let line = answer.tracks[0];
  const timeline = answer.is_still ? null : new Timeline(byId("timeline"), answer);

  const follow = () => {
    const time_s = answer.is_still ? 0 : player.currentTime;
    const row = rowAt(line.times_s, time_s);
    showRow(bars, answer, line, row);
    timeline?.point(time_s, inWords(answer, line, row, time_s));
  };
  const choose = (track) => {
    line = answer.tracks.find((one) => one.track === track);
    showVerdict(answer, line);
    timeline?.draw(line);
    for (const button of byId("tracks").children) button.ariaPressed = String(Number(button.value) === track);
    follow();
  };
  showTracks(answer, choose);

  if (answer.is_still) {
    byId("timeline-card").hidden = player.hidden = true;
    byId("picture").hidden = false;
    byId("picture").src = `${address}/picture`;
    byId("get-video").textContent = "Annotated picture";
    byId("now-title").hidden = byId("bars").hidden = true;
    byId("explain").textContent = "Explain it";
  } else {
    player.src = `${address}/video`;
    const tick = () => {
      follow();
      if (!player.paused) requestAnimationFrame(tick);
    };
    player.addEventListener("play", tick);
    for (const kind of ["seeking", "seeked", "timeupdate", "loadedmetadata"]) player.addEventListener(kind, follow);
    timeline.onSeek = (time_s) => (player.currentTime = time_s);
    timeline.onToggle = () => (player.paused ? player.play() : player.pause());
  }
  byId("explain").onclick = () => explain(address, line, answer.is_still ? 0 : player.currentTime, timeline, player);
  choose(line.track);
}

function showVerdict(answer, { track, verdict }) {
  const are_several = answer.tracks.length > 1;
  byId("verdict-title").textContent = are_several ? `Face ${track}` : answer.is_still ? "The picture" : "The whole video";
  const number = answer.labels.indexOf(verdict.predicted);
  const name = element("span", "verdict-name", verdict.is_sure ? verdict.predicted : "no clear verdict");
  const swatch = element("span", "swatch");
  swatch.hidden = !verdict.is_sure;
  swatch.style.setProperty("--class", answer.colours[number]);
  byId("verdict").replaceChildren(swatch, name);
  const average = `${percent(verdict.confidence)}${answer.is_still ? "" : " on average"}`;
  const facts = [verdict.is_sure ? average : `Likeliest is ${verdict.predicted}, with ${average}`];
  if (!verdict.predicted) facts[0] = "It was seen too briefly to say anything";
  else if (!answer.is_still && verdict.coverage < 0.995) facts.push(`a face was seen in ${percent(verdict.coverage)} of ${are_several ? "its time" : "it"}`);
  byId("verdict-note").textContent = facts.join("; ");
  byId("remark").textContent = answer.remark && `Of the file: ${answer.remark}.`;
}

function showTracks(answer, choose) {
  const buttons = answer.tracks.map(({ track, colour }) => {
    const button = element("button", "button", `Face ${track}`);
    const swatch = element("span", "swatch");
    swatch.style.setProperty("--class", colour);
    button.prepend(swatch);
    button.type = "button";
    button.value = track;
    button.onclick = () => choose(track);
    return button;
  });
  byId("tracks").replaceChildren(...buttons);
  byId("tracks").hidden = buttons.length < 2;
}

function bar(label, colour) {
  const item = element("li");
  const fill = element("span", "fill");
  const track = element("span", "track");
  const value = element("span", "value");
  const name = element("span", "name", label);
  item.style.setProperty("--class", colour);
  name.title = label;
  track.append(fill);
  item.append(name, track, value);
  return { item, fill, value };
}

function showRow(bars, answer, line, row) {
  bars.forEach(({ item, fill, value }, number) => {
    const share = line.probabilities[number][row];
    fill.style.width = share == null ? "0" : `${share / 10}%`;
    value.textContent = share == null ? "–" : percent(share / 1000);
    item.classList.toggle("is-top", line.predicted[row] === number);
  });
}

function inWords(answer, line, row, time_s) {
  const number = line.predicted[row];
  const said = number < 0 ? "no face, nothing is said" : `${answer.labels[number]} ${percent(line.probabilities[number][row] / 1000)}`;
  const spread = number < 0 ? null : line.uncertainty[row];
  return `${time_s.toFixed(1)} s: ${said}${spread == null ? "" : ` ± ${Math.round(spread / 10)}`}`;
}

// The row of the frame that is shown at a time: the last one that has begun.
export function rowAt(times_s, time_s) {
  let low = 0;
  let high = times_s.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (times_s[middle] <= time_s + 1e-3) low = middle;
    else high = middle - 1;
  }
  return low;
}

async function explain(address, line, time_s, timeline, player) {
  const button = byId("explain");
  const words = byId("explain-words");
  button.disabled = true;
  words.className = "";
  words.textContent = "Looking where the model looked";
  try {
    const query = new URLSearchParams({ track: line.track, time: time_s });
    const moment = await ask(`${address}/moments?${query}`, { method: "POST" });
    byId("moments").prepend(momentOf(moment, player));
    timeline?.mark((moment.start_s + moment.end_s) / 2);
    words.textContent = "";
  } catch (error) {
    words.className = "fault";
    words.textContent = error.message;
  }
  button.disabled = false;
}

function momentOf(moment, player) {
  const middle_s = (moment.start_s + moment.end_s) / 2;
  const box = element("div", "moment");
  const head = element("p");
  const times = [...new Set([moment.start_s, moment.end_s].map((time_s) => time_s.toFixed(2)))];
  const again = element("button", "link", `${times.join(" to ")} s`);
  again.type = "button";
  again.onclick = () => (player.currentTime = middle_s);
  head.append(element("strong", "", `${moment.predicted}, ${percent(moment.confidence)}`));
  if (!player.hidden) head.append(again);
  const tiles = element("div", "tiles");
  for (const tile of moment.tiles) {
    const figure = element("figure", "tile");
    const pictures = element("div");
    pictures.append(...tile.seen.map((source) => pictureOf(source, `What the model saw: ${tile.title}`)));
    pictures.append(element("span", "arrow", "→"));
    pictures.append(...tile.looked.map((source) => pictureOf(source, `Where it looked: ${tile.title}`)));
    figure.append(element("figcaption", "", tile.title), pictures);
    if (tile.note) figure.append(element("span", "quiet", tile.note));
    tiles.append(figure);
  }
  box.append(head, tiles);
  return box;
}

function pictureOf(source, words) {
  const picture = element("img");
  picture.src = source;
  picture.alt = words;
  return picture;
}

export function element(kind, name = "", text = "") {
  const made = document.createElement(kind);
  if (name) made.className = name;
  if (text) made.textContent = text;
  return made;
}
