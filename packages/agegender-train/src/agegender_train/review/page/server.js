// Requests to the server. Addresses are relative: the page's own begins with the secret that opens all of them.

export class Refused extends Error {}

async function answer(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Refused("The server has stopped. Decisions so far are saved; run agegender review again to continue.");
  }
  if (!response.ok) {
    const said = await response.json().catch(() => ({}));
    throw new Refused(said.problem ?? `The server answered ${response.status}.`);
  }
  return response;
}

const post = async (path, body = {}) => {
  const headers = { "Content-Type": "application/json" };
  const response = await answer(path, { method: "POST", headers, body: JSON.stringify(body) });
  return (await response.json()).faces;
};

export const chip = (row, box) => `chip/${row}${box ? `?box=${box}` : ""}`;
export const picture = (row) => `picture/${row}`;
export const others = async (row) => (await answer(`api/others?row=${row}`)).json();
export const about = async () => (await answer("api/about")).json();
export const changes = async (since) => (await answer(`api/changes?since=${since}`)).json();
export const faces = async (rows) => (await (await answer(`api/faces?rows=${rows.join(",")}`)).json()).faces;
export const decide = (row, action, label = {}) => post("api/decide", { row, action, ...label });
export const undo = () => post("api/undo");
export const predict = () => post("api/predict");

// All rows of a selection, and the state of each.
export async function rows(query) {
  const buffer = await (await answer(`api/rows?${query}`)).arrayBuffer();
  const n = buffer.byteLength / 5;
  return { rows: new Int32Array(buffer, 0, n), states: new Uint8Array(buffer, 4 * n, n) };
}
