// The video that is selected: it plays, with what is done in it under it.

import { address } from "./api.js";

const $ = (id) => document.getElementById(id);
const video = $("video");
const NONE = "none";
let shown = null;
let ticking = 0;

export function make(tag, text = "", className = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  if (className) element.className = className;
  return element;
}

const percent = (share) => `${Math.round(100 * share)} %`;

function clock(seconds) {
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${(seconds - 60 * minutes).toFixed(1).padStart(4, "0")}`;
}

export async function show(job) {
  if (shown?.id === job.id) return;
  hide();
  shown = job;
  $("viewer").hidden = false;
  $("viewer-title").textContent = job.name;
  $("maps").checked = false;
  $("maps").disabled = !job.files.includes("maps");
  $("maps").closest("label").hidden = !job.files.includes("maps");
  segments(job.result.segments ?? []);
  top(job.result.predictions ?? []);
  files(job);
  missing(job);
  const plays = job.files.includes("video");
  video.closest(".stage").hidden = !plays;
  if (plays) await play(job, "video", 0);
}

export function hide() {
  shown = null;
  $("viewer").hidden = true;
  letGo();
  video.removeAttribute("src");
  video.load();
}

function letGo() {
  if (video.src.startsWith("blob:")) URL.revokeObjectURL(video.src);
}

async function play(job, name, seconds) {
  const runs = !video.paused;
  const source = await address(job.id, name);
  if (shown !== job) return;
  letGo();
  video.src = source;
  video.addEventListener("loadedmetadata", () => {
    video.currentTime = seconds;
    if (runs) video.play();
  }, { once: true });
}

function segments(list) {
  const labels = [...new Set(list.map((one) => one.label).filter((label) => label !== NONE))];
  const end = Math.max(...list.map((one) => one.end), 0.001);
  $("segments").replaceChildren();
  $("strip").replaceChildren();
  for (const one of list) {
    const hue = one.label === NONE ? "none" : String(labels.indexOf(one.label) % 6);
    const name = one.label === NONE ? "nothing known" : one.label;
    const button = make("button");
    button.type = "button";
    button.dataset.hue = hue;
    button.append(
      make("span", `${clock(one.start)} to ${clock(one.end)}`, "time"),
      make("span", name, "name"),
      make("span", one.label === NONE ? "" : percent(one.probability), "share"),
    );
    button.addEventListener("click", () => {
      video.currentTime = one.start + 0.001;
      now();
    });
    const item = make("li");
    item.append(button);
    $("segments").append(item);
    const block = make("span");
    block.dataset.hue = hue;
    block.style.flexGrow = String(Math.max(one.end - one.start, 0.01) / end);
    $("strip").append(block);
  }
  if (list.length) $("strip").append(make("i"));
  else $("segments").append(make("li", "Nothing known is done in this video."));
}

function top(list) {
  $("top").replaceChildren(...list.slice(0, 5).map((one) => {
    const item = make("li");
    const bar = make("span", "", "bar");
    bar.style.setProperty("--share", String(one.probability));
    item.append(make("span", one.label, "name"), make("span", percent(one.probability), "share"), bar);
    return item;
  }));
}

const FILES = { json: "JSON", srt: "SRT subtitles", csv: "CSV table", vtt: "VTT subtitles", annotated: "Annotated video" };

function files(job) {
  const names = Object.keys(FILES).filter((name) => job.files.includes(name));
  $("files").replaceChildren(...names.map((name) => {
    const link = make("a", FILES[name], "button");
    const ending = name === "annotated" ? "annotated.mp4" : name;
    link.href = `/v1/jobs/${job.id}/${name}`;
    link.download = `${job.name.replace(/\.[^.]*$/, "")}.${ending}`;
    link.addEventListener("click", (event) => fetched(event, job.id, name, link.download));
    const item = make("li");
    item.append(link);
    return item;
  }));
}

const FILMS = { video: "a video that browsers play", annotated: "the annotated video", maps: "the OFF maps" };

function missing(job) {
  const names = new Map();
  for (const [name, why] of Object.entries(job.missing)) {
    names.set(why, [...(names.get(why) ?? []), FILMS[name]]);
  }
  miss([...names].map(([why, films]) => `Could not be made: ${films.join(" and ")} (${why}).`));
}

function miss(lines) {
  $("missing").replaceChildren(...lines.map((line) => make("li", line)));
  $("missing").hidden = lines.length === 0;
}

async function fetched(event, id, name, file) {
  if (!sessionStorage.getItem("marey-token")) return;
  event.preventDefault();
  const link = make("a");
  link.href = await address(id, name);
  link.download = file;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function now() {
  if (!shown) return;
  const list = shown.result.segments ?? [];
  const at = video.currentTime;
  const index = list.findIndex((one, i) => at < one.end || i === list.length - 1);
  const one = list[index];
  $("now").hidden = !one || one.label === NONE;
  if (one) $("now").textContent = `${one.label} · ${percent(one.probability)}`;
  [...$("segments").querySelectorAll("button")].forEach((button, i) => {
    if (i === index) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  });
  const end = list.at(-1)?.end ?? 1;
  $("strip").style.setProperty("--at", String(Math.min(at / end, 1)));
}

function tick() {
  now();
  ticking = video.paused ? 0 : requestAnimationFrame(tick);
}

video.addEventListener("play", () => {
  cancelAnimationFrame(ticking);
  tick();
});
for (const kind of ["timeupdate", "seeked", "loadeddata"]) video.addEventListener(kind, now);
video.addEventListener("error", () => {
  if (shown && video.error) miss(["This browser cannot play the video. Try another browser."]);
});
$("maps").addEventListener("change", () => {
  play(shown, $("maps").checked ? "maps" : "video", video.currentTime);
});
