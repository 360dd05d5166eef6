// What the page asks of the server, and the token it shows.

const KEY = "marey-token";
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  sessionStorage.setItem(KEY, given);
  history.replaceState(null, "", location.pathname);
}

export const token = () => sessionStorage.getItem(KEY);
export const keepToken = (text) => sessionStorage.setItem(KEY, text);

/** A refusal of the server, or no answer (status 0). */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export const HELP = {
  0: "The server does not answer. See whether it still runs, then try again.",
  401: "The server asks for a token.",
  404: "The server has erased this video. Add it again if you still need it.",
  413: "The file is larger than this server takes. Cut it, or save it smaller.",
  503: "The queue is full. Wait for a video to be done, then try again.",
};

export const LOST = "The connection was lost on the way. Try again.";

function words(status, text) {
  if (HELP[status]) return HELP[status];
  try {
    return JSON.parse(text).error.message;
  } catch {
    return `The server failed (${status}). Try again; its log says why.`;
  }
}

function headers() {
  return token() ? { Authorization: `Bearer ${token()}` } : {};
}

export async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: headers() });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, words(0, ""));
  }
  if (!answer.ok) throw new Refused(answer.status, words(answer.status, await answer.text()));
  return answer;
}

/** Send a file; `tell` is given the share that is sent. Returns the job, and how to stop. */
export function send(file, tell) {
  const request = new XMLHttpRequest();
  const job = new Promise((resolve, reject) => {
    request.open("POST", "/v1/jobs?annotate=1&maps=1");
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => event.lengthComputable && tell(event.loaded / event.total);
    request.onload = () => {
      if (request.status === 202) resolve(JSON.parse(request.responseText));
      else reject(new Refused(request.status, words(request.status, request.responseText)));
    };
    request.onerror = () => reject(new Refused(0, words(0, "")));
    request.onabort = () => reject(new DOMException("stopped", "AbortError"));
    const body = new FormData();
    body.append("video", file, file.name);
    request.send(body);
  });
  return { job, stop: () => request.abort() };
}

/** Yield a job each time it changes, until it is over. (EventSource cannot show a token.) */
export async function* follow(id, signal) {
  const answer = await ask(`/v1/jobs/${id}/events`, { signal });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value.replaceAll("\r", "");
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) {
      const data = event.split("\n").filter((line) => line.startsWith("data:"));
      if (data.length) yield JSON.parse(data.map((line) => line.slice(5)).join("\n"));
    }
  }
}

/** Return an address of a file that <video> and <a> can take. */
export async function address(id, name) {
  const path = `/v1/jobs/${id}/${name}`;
  if (!token()) return path;
  return URL.createObjectURL(await (await ask(path)).blob());
}
