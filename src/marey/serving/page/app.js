// The videos of this tab: they are sent one after the other, followed, and shown.

import { ask, follow, HELP, keepToken, LOST, Refused, send } from "./api.js";
import { camera } from "./camera.js";
import { hide, make, show } from "./viewer.js";

const $ = (id) => document.getElementById(id);
const KEY = "marey-jobs";
const entries = []; // {name, file, state, share, job, message, stop, card}
let chosen = null;
let sending = false;
let following = false;
let quiet = 0;
let largest = Infinity;

const over = (job) => ["done", "failed", "cancelled"].includes(job.status);

function say(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

function tell(text) {
  $("told").textContent = text;
}

function keep() {
  const ids = entries.filter((one) => one.job).map((one) => one.job.id);
  sessionStorage.setItem(KEY, JSON.stringify(ids));
}

function card(entry) {
  const item = make("li", "", "card");
  const pick = make("button", "", "pick");
  pick.type = "button";
  const name = make("span", entry.name, "name");
  const state = make("span", "", "state");
  pick.append(name, state);
  pick.addEventListener("click", () => choose(entry));
  const bar = make("progress");
  bar.max = 1;
  bar.setAttribute("aria-label", `Progress of ${entry.name}`);
  const again = make("button", "Try again", "again");
  again.type = "button";
  again.addEventListener("click", () => {
    Object.assign(entry, { state: "waiting", message: "", share: 0 });
    draw(entry);
    sendNext();
  });
  const remove = make("button", "Remove", "remove");
  remove.type = "button";
  remove.setAttribute("aria-label", `Remove ${entry.name}`);
  remove.addEventListener("click", () => drop(entry));
  item.append(pick, bar, again, remove);
  entry.card = { item, pick, state, bar, again };
  $("cards").append(item);
}

function describe(entry) {
  const done = `${Math.round(100 * entry.share)} %`;
  const ahead = entry.job?.position ?? 0;
  return {
    waiting: "Waits to be sent",
    sending: `Sending, ${done}`,
    queued: ahead ? `In the queue, ${ahead} before it` : "Next in the queue",
    running: `Working, ${done}`,
    done: entry.job?.result?.predictions?.[0]?.label ?? "Done",
    failed: entry.message,
  }[entry.state];
}

function draw(entry) {
  const { item, pick, state, bar, again } = entry.card;
  item.dataset.state = entry.state;
  state.textContent = describe(entry);
  pick.disabled = entry.state !== "done";
  pick.setAttribute("aria-pressed", String(entry === chosen));
  bar.hidden = !["sending", "running"].includes(entry.state);
  bar.value = entry.share;
  again.hidden = !(entry.state === "failed" && entry.file?.size <= largest && !entry.job);
  $("queue").hidden = entries.length === 0;
  document.body.classList.toggle("some", entries.length > 0);
}

function choose(entry) {
  chosen = entry;
  entries.forEach(draw);
  show(entry.job).catch((error) => say(error.message));
}

function take(entry, job) {
  const before = entry.state;
  entry.job = job;
  entry.share = job.progress;
  entry.state = job.status === "cancelled" ? "failed" : job.status;
  if (job.error) {
    const video = job.error.code === "video";
    entry.message = video ? `${job.error.message}. Choose another file.` : job.error.message;
  }
  draw(entry);
  if (before !== entry.state) tell(`${entry.name}: ${describe(entry)}`);
  else if (entry.state === "running" && Date.now() - quiet > 5000) {
    quiet = Date.now();
    tell(`${entry.name}: ${describe(entry)}`);
  }
  if (entry.state === "done" && !chosen) choose(entry);
}

function failed(entry, error) {
  if (error.status === 401) askToken();
  entry.state = "failed";
  entry.message = error.message;
  draw(entry);
  tell(`${entry.name}: ${error.message}`);
}

async function sendNext() {
  const entry = entries.find((one) => one.state === "waiting");
  if (sending || !entry) return;
  sending = true;
  entry.state = "sending";
  draw(entry);
  try {
    const { job, stop } = send(entry.file, (share) => {
      entry.share = share;
      draw(entry);
    });
    entry.stop = stop;
    take(entry, await job);
    entry.file = null;
    keep();
    followNext();
  } catch (error) {
    if (error instanceof Refused) failed(entry, error.status ? error : await cause(entry, error));
  }
  sending = false;
  sendNext();
}

// Who hangs up in the middle of an upload cannot say why, so it is asked for.
async function cause(entry, error) {
  try {
    largest = (await (await ask("/v1/model")).json()).limits.bytes;
  } catch (other) {
    return other;
  }
  return entry.file.size > largest ? new Refused(413, HELP[413]) : new Refused(0, LOST);
}

// One job is followed at a time: browsers open few connections to a server.
async function followNext() {
  const entry = entries.find((one) => one.job && !over(one.job));
  if (following || !entry) return;
  following = true;
  entry.following = new AbortController();
  try {
    for await (const job of follow(entry.job.id, entry.following.signal)) {
      take(entry, job);
      for (const one of entries) if (one !== entry && one.state === "queued") await refresh(one, 2000);
    }
    if (!over(entry.job)) await new Promise((resolve) => setTimeout(resolve, 1000));
  } catch (error) {
    if (error.status === 401) askToken();
    else if (error.status === 404) {
      entry.job = null;
      failed(entry, error);
    } else if (error.name !== "AbortError") await new Promise((resolve) => setTimeout(resolve, 2000));
  }
  following = false;
  if ($("token").hidden) followNext();
}

async function refresh(entry, every) {
  if (Date.now() - (entry.seen ?? 0) < every) return;
  entry.seen = Date.now();
  take(entry, await (await ask(`/v1/jobs/${entry.job.id}`)).json());
}

async function drop(entry) {
  entry.stop?.();
  entry.following?.abort();
  const place = entries.indexOf(entry);
  entries.splice(place, 1);
  entry.card.item.remove();
  if (entry === chosen) {
    chosen = null;
    hide();
  }
  keep();
  $("queue").hidden = entries.length === 0;
  document.body.classList.toggle("some", entries.length > 0);
  tell(`${entry.name} is removed`);
  const next = entries[Math.min(place, entries.length - 1)];
  (next ? next.card.item.querySelector(".remove") : $("choose")).focus();
  try {
    if (entry.job) await ask(`/v1/jobs/${entry.job.id}`, { method: "DELETE" });
  } catch (error) {
    if (error.status !== 404) say(error.message);
  }
}

function add(files) {
  say("");
  for (const file of files) {
    const entry = { name: file.name, file, state: "waiting", share: 0, job: null, message: "" };
    entries.push(entry);
    card(entry);
    draw(entry);
    // Nobody should have to wait until it is sent to be told.
    if (file.size > largest) failed(entry, new Refused(413, HELP[413]));
  }
  sendNext();
}

function askToken() {
  $("token").hidden = false;
  $("add").hidden = true;
  $("token-text").focus();
}

async function begin() {
  const model = await (await ask("/v1/model")).json();
  $("token").hidden = true;
  $("add").hidden = false;
  $("model").textContent = `What is done in a video, and when. The network ${model.name} knows ${model.classes.length} actions.`;
  const { bytes, seconds } = model.limits;
  largest = bytes;
  const size = bytes >= 1e6 ? `${Math.floor(bytes / 1e6)} MB` : `${Math.floor(bytes / 1e3)} kB`;
  const length = seconds >= 120 ? `${Math.floor(seconds / 60)} minutes` : `${seconds} seconds`;
  $("limits").textContent = `Up to ${size} and ${length} each. They stay on this server, which erases them after a while.`;
  for (const id of JSON.parse(sessionStorage.getItem(KEY) ?? "[]")) {
    if (entries.some((one) => one.job?.id === id)) continue;
    const answer = await ask(`/v1/jobs/${id}`).catch(() => null);
    if (!answer) continue;
    const job = await answer.json();
    const entry = { name: job.name, file: null, state: job.status, share: 0, job, message: "" };
    entries.push(entry);
    card(entry);
    take(entry, job);
  }
  keep();
  followNext();
}

const trouble = (error) => (error.status === 401 ? askToken() : say(error.message));

$("token").addEventListener("submit", (event) => {
  event.preventDefault();
  keepToken($("token-text").value.trim());
  say("");
  begin().catch((error) => {
    trouble(error);
    if (error.status === 401) say("That is not the token of this server. Try again.");
  });
});
$("choose").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", () => {
  add([...$("file").files]);
  $("file").value = "";
});
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    $("add").classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop" && !$("add").hidden) add([...event.dataTransfer.files]);
  });
}
camera((file) => add([file]), say);
begin().catch(trouble);
