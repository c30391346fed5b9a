// Requests to the server, with the token where one is needed.

export class Refused extends Error {
  constructor(message, status, wait) {
    super(message);
    this.status = status;
    this.wait = wait;
  }
}

const KEY = "agegender token";
let token = sessionStorage.getItem(KEY);
let ask = async () => {};

// Behind a #, which no browser sends to a server, a link may carry the token.
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  useToken(given);
  history.replaceState(null, "", location.pathname);
}

export function useToken(text) {
  token = text;
  sessionStorage.setItem(KEY, text);
}

// What asks the user for a token, and ends when there is one.
export const onMissingToken = (how) => (ask = how);

export async function answer(path, options = {}) {
  const used = token;
  const headers = { ...options.headers, ...(used ? { Authorization: `Bearer ${used}` } : {}) };
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The server can't be reached.", 0, 2);
  }
  if (response.status === 401) {
    if (used === token) await ask(used !== null);
    return answer(path, options);
  }
  return response;
}

async function refusal(response) {
  const said = await response.json().catch(() => ({}));
  const wait = Number(response.headers.get("Retry-After")) || 1;
  return new Refused(said.error ?? `The server answered ${response.status}.`, response.status, wait);
}

// Rows of pictures; those that could not be read have their reason in them, whatever the status.
async function rows(response) {
  if (response.ok) return response.json();
  const said = await response.clone().json().catch(() => null);
  if (Array.isArray(said)) return said;
  throw await refusal(response);
}

export async function predictFile(file, annotated = false) {
  const form = new FormData();
  form.append("picture", file, file.name || "picture");
  const path = `/predict${annotated ? "?annotated=true" : ""}`;
  return (await rows(await answer(path, { method: "POST", body: form })))[0];
}

export async function predictFrame(blob, signal) {
  const headers = { "Content-Type": "image/jpeg" };
  return (await rows(await answer("/predict?name=camera", { method: "POST", body: blob, headers, signal })))[0];
}

export async function json(path) {
  const response = await answer(path);
  if (!response.ok) throw await refusal(response);
  return response.json();
}

// A frame newer than number `after`, or null if none came for a while.
export async function frame(source, after, signal) {
  const response = await answer(`/live/${source}/frame?after=${after}`, { signal });
  if (response.status === 204) return null;
  if (!response.ok) throw await refusal(response);
  return { number: Number(response.headers.get("X-Frame-Number")), blob: await response.blob() };
}
