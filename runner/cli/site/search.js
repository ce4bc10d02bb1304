// Finds the sections of the site that hold every word of the box, those with it in a heading first.
const sections = JSON.parse(document.getElementById("sections").textContent);
const box = document.querySelector("main input");
const results = document.getElementById("results");
const said = document.getElementById("said");
const MOST = 50;

function around(text, word) {
  const at = Math.max(text.toLowerCase().indexOf(word), 0);
  const from = Math.max(at - 60, 0);
  return (from ? "… " : "") + text.slice(from, at + 120) + (at + 120 < text.length ? " …" : "");
}

function item([, title, address, text], word) {
  const link = document.createElement("a");
  link.href = address;
  link.textContent = title;
  const line = document.createElement("p");
  line.textContent = around(text, word);
  const entry = document.createElement("li");
  entry.append(link, line);
  return entry;
}

function show() {
  const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = [];
  for (const [title, address, text] of sections) {
    const head = title.toLowerCase();
    const whole = head + " " + text.toLowerCase();
    if (!words.length || !words.every((word) => whole.includes(word))) continue;
    found.push([words.filter((word) => head.includes(word)).length, title, address, text]);
  }
  found.sort((one, other) => other[0] - one[0]);
  results.replaceChildren(...found.slice(0, MOST).map((hit) => item(hit, words[0])));
  const more = found.length > MOST ? `, the first ${MOST} of which are shown` : "";
  said.textContent = words.length ? `${found.length} sections${more}` : "";
}

box.value = new URLSearchParams(location.search).get("q") || "";
box.addEventListener("input", show);
show();
