// The description of the requests, as a page.

import { element } from "./faces.js";
import { json } from "./server.js";

function section(method, path, operation) {
  const made = element("section", undefined, "operation");
  const title = element("h2");
  title.append(element("code", `${method.toUpperCase()} ${path}`));
  made.append(title, element("p", operation.summary));
  if (operation.description) made.append(element("p", operation.description, "quiet"));
  const parameters = (operation.parameters ?? []).map((one) => [`?${one.name}`.replace("?number", "{number}"), one.description ?? ""]);
  if (parameters.length) made.append(element("h3", "Parameters"), table(["name", "what it does"], parameters));
  const types = Object.keys(operation.requestBody?.content ?? {}).map((type) => [type, holds(operation.requestBody.content[type].schema)]);
  if (types.length) made.append(element("h3", "Body"), table(["type", "holds"], types));
  const answers = Object.entries(operation.responses).map(([status, one]) => [status, one.description]);
  made.append(element("h3", "Answers"), table(["status", "when"], answers));
  return made;
}

const reference = (schema) => schema.$ref?.split("/").at(-1);

function holds(schema) {
  if (schema.$ref) return reference(schema);
  if (schema.properties) return Object.entries(schema.properties).map(([name, one]) => `${name}: ${holds(one)}`).join(", ");
  if (schema.type === "array") return `files, ${schema.maxItems} at most`;
  return "the file";
}

function kind(schema) {
  if (schema.$ref) return reference(schema);
  if (schema.enum) return schema.enum.map(String).join(", ");
  if (schema.anyOf) return schema.anyOf.map(kind).join(" or ");
  const types = [schema.type].flat().filter(Boolean).join(" or ");
  return schema.items ? `${types} of ${kind(schema.items)}` : types;
}

function described(name, schema) {
  if (!schema.properties) return [element("h3", name), element("p", kind(schema))];
  const rows = Object.entries(schema.properties).map(([key, one]) => [key, kind(one), one.description ?? ""]);
  return [element("h3", name), table(["name", "type", "what it is"], rows)];
}

function table(titles, rows) {
  const made = element("table");
  const head = made.createTHead().insertRow();
  titles.forEach((title) => {
    const cell = element("th", title);
    cell.scope = "col";
    head.append(cell);
  });
  const body = made.createTBody();
  rows.forEach((row) => {
    const line = body.insertRow();
    row.forEach((text, number) => {
      const cell = line.insertCell();
      cell.append(number === 0 ? element("code", text) : text);
    });
  });
  return made;
}

const main = document.getElementById("operations");

try {
  const document_ = await json("/openapi.json");
  for (const [path, methods] of Object.entries(document_.paths)) {
    for (const [method, operation] of Object.entries(methods)) main.append(section(method, path, operation));
  }
  const schemas = element("section", undefined, "operation");
  schemas.append(element("h2", "What they hold"));
  for (const [name, schema] of Object.entries(document_.components.schemas)) schemas.append(...described(name, schema));
  main.append(schemas);
} catch (error) {
  const alert = document.getElementById("alert");
  alert.textContent = error.message;
  alert.hidden = false;
}
