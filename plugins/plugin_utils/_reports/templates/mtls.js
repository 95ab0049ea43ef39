"use strict";
// Draws what the report's data says: which verdict is worse, what a table has and what is open is decided there (_reports/mtls.py).
const data = JSON.parse(document.getElementById("data").textContent);
const MOST_CELLS = 40000;
const named = client => data.names[client] || client;
const words = kind => kind.replaceAll("_", " ");
const el = (tag, attributes = {}, ...inner) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) { if (name === "text") made.append(...breakable(value)); else made.setAttribute(name, value); }
  made.append(...inner);
  return made;
};
// Long names may break after / - . _ : and nowhere else.
const breakable = text => String(text ?? "").split(/(?<=[/\-._:,=])(?=[^\s/\-._:,=])/).flatMap((part, index) => index ? [document.createElement("wbr"), part] : [part]);
const by = new Map();  // service -> port -> client -> call
for (const call of data.calls) {
  if (!by.has(call.service)) by.set(call.service, new Map());
  const ports = by.get(call.service);
  if (!ports.has(call.port)) ports.set(call.port, new Map());
  ports.get(call.port).set(call.client, call);
}
const callsFor = (client, service) => [...by.get(service).values()].map(clients => clients.get(client) || (client === data.bare ? undefined : clients.get(data.anybody))).filter(Boolean);
const own = [...new Set(data.calls.map(call => call.client))].filter(name => !(name in data.names)).sort();
const spaces = [...new Set([...by.keys()].map(name => name.split("/")[0]))].sort();
let chosen = null;

function draw() {
  const space = document.getElementById("namespace").value, text = document.getElementById("find").value.toLowerCase();
  let services = [...by.keys()].sort().filter(name => !space || name.startsWith(space + "/"));
  let callers = [...Object.keys(data.names), ...(document.getElementById("all").checked ? [...new Set([...own, ...data.meshed])].sort() : own)];
  if (text) {
    const some = services.filter(name => name.toLowerCase().includes(text));
    if (some.length) services = some; else callers = callers.filter(name => name.toLowerCase().includes(text));
  }
  const total = callers.length * services.length;
  callers = callers.slice(0, Math.max(2, Math.floor(MOST_CELLS / Math.max(1, services.length))));
  const shown = callers.length * services.length;
  document.getElementById("shown").textContent = `${callers.length} callers × ${services.length} services` + (shown < total ? ` (${total - shown} more cells; narrow the view)` : "");
  const head = el("tr", {}, el("th", {scope: "col", text: "caller ╲ service"}), ...services.map(name => el("th", {scope: "col", title: name}, el("div", {text: name}))));
  const rows = callers.map(client => el("tr", {}, el("th", {scope: "row"}, el("div", {text: named(client)})), ...services.map(service => cell(client, service))));
  const caption = el("caption", {class: "hidden", text: "What becomes of the calls of each caller to each service, the worst of its ports"});
  document.getElementById("matrix").replaceChildren(caption, el("thead", {}, head), el("tbody", {}, ...rows));
}

function cell(client, service) {
  const calls = callsFor(client, service);
  if (!calls.length) return el("td");
  const worst = calls.reduce((a, b) => b.badness > a.badness ? b : a), kind = worst.kind;
  const proof = calls.some(call => call.proof === "violated") ? "violated" : calls.every(call => call.proof === "proved") ? "proved" : "";
  const label = `${named(client)} to ${service}: ${words(kind)}${proof ? ", " + proof : ""}`;
  const button = el("button", {class: `${kind} ${proof}`, type: "button", title: label, "aria-label": label, "aria-pressed": "false", text: data.signs[kind]});
  button.addEventListener("click", () => { if (chosen) chosen.setAttribute("aria-pressed", "false"); chosen = button; button.setAttribute("aria-pressed", "true"); explain(client, service, calls); });
  return el("td", {}, button);
}

function explain(client, service, calls) {
  const parts = [el("strong", {text: `${named(client)} → ${service}`})];
  for (const call of calls) {
    parts.push(el("h3", {}, el("span", {class: `badge ${call.kind}`, text: words(call.kind)}), ` port ${call.port}`));
    const list = el("dl");
    const add = (name, value) => { if (value) list.append(el("dt", {text: name}), el("dd", {text: value})); };
    add("reason", call.reason);
    add("proof", call.proof + (call.evidence ? `: ${call.evidence}` : ""));
    add("server", `${call.server_mode}${call.server_policy ? " by " + call.server_policy : ""} (container port ${call.target_port})`);
    add("client", `${call.client_mode}${call.client_policy ? " by " + call.client_policy : ""}`);
    add("rule", words(call.rule));
    add("demanded", call.demanded);
    add("not as demanded", call.deviation && (call.excepted ? `${call.deviation} (accepted: ${call.excepted})` : call.deviation));
    add("does not apply", call.overridden.map(lost => `${lost.object}: ${lost.why}`).join("; "));
    add("backends", call.backends.join(", "));
    parts.push(list);
  }
  document.getElementById("detail").replaceChildren(...parts);
}

// A section with a table. The columns with sentences are `long`. A table that nobody opens is not made.
function list({title, columns, rows, note, long, open}) {
  const head = el("tr", {}, ...columns.map(name => el("th", {scope: "col", text: name})));
  const shown = value => value !== null && typeof value === "object" ? el("span", {class: value.class, text: value.text}) : null;
  const cells = row => row.map((value, index) => {
    const attributes = long.includes(columns[index]) ? {class: "long"} : {}, inner = shown(value);
    return inner ? el("td", attributes, inner) : el("td", {...attributes, text: value});
  });
  const place = el("div", {class: "wide", tabindex: "0", role: "region", "aria-label": title});
  const fill = () => { if (!place.firstChild) place.append(el("table", {class: "list"}, el("thead", {}, head), el("tbody", {}, ...rows.map(row => el("tr", {}, ...cells(row)))))); };
  const section = el("details", {}, el("summary", {}, el("h2", {text: title}), el("span", {class: "soft"}, ` ${rows.length}`)),
    ...(note ? [el("p", {class: "soft", text: note})] : []), place);
  section.addEventListener("toggle", fill);
  if (open) { fill(); section.open = true; }
  return section;
}
const plain = ([title, items]) => [el("p", {text: title}), el("ul", {class: "plain"}, ...items.map(text => el("li", {text})))];

document.getElementById("namespace").append(el("option", {value: "", text: "all"}), ...spaces.map(name => el("option", {value: name}, name)));
document.getElementById("against").append(...data.against.map(list));
if (data.strict) {
  document.getElementById("lists").append(el("h2", {id: "strict", text: data.strict.title}), el("p", {text: data.strict.text}),
    ...data.strict.tables.map(list), ...data.strict.notes.flatMap(plain));
}
document.getElementById("lists").append(...data.tables.map(list));
for (const id of ["namespace", "all"]) document.getElementById(id).addEventListener("change", draw);
document.getElementById("find").addEventListener("input", draw);
draw();
