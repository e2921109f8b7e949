"use strict";
(() => {
  const value = (cell) => {
    const raw = cell.dataset.v;
    return raw === undefined ? cell.textContent.trim() : raw === "" ? null : Number(raw);
  };
  const compare = (a, b, sign) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));
  };
  const sort = (table, place, heading) => {
    const first = heading.classList.contains("num") ? "descending" : "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const now = heading.getAttribute("aria-sort") === first ? other : first;
    for (const each of heading.parentElement.children) each.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", now);
    const body = table.tBodies[0], sign = now === "ascending" ? 1 : -1;
    const rows = [...body.rows].map((row, order) => ({ row, order, key: value(row.cells[place]) }));
    rows.sort((a, b) => compare(a.key, b.key, sign) || a.order - b.order);
    body.append(...rows.map((entry) => entry.row));
  };
  const filter = (table, words) => {
    const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of table.tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !wanted.every((word) => text.includes(word));
    }
  };
  const csv = (table) => {
    const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const head = [...table.tHead.rows[0].cells].map((cell) => cell.dataset.name);
    const rows = [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) =>
      [...row.cells].map((cell) => cell.dataset.v || cell.textContent.trim()));
    return [head, ...rows].map((row) => row.map(quoted).join(",")).join("\n") + "\n";
  };
  const save = (name, text) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = `${name}.csv`;
    link.click();
    URL.revokeObjectURL(link.href);
  };
  const copy = async (button) => {
    const said = button.textContent;
    try {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed here";
    }
    setTimeout(() => { button.textContent = said; }, 1500);
  };
  for (const box of document.querySelectorAll("div.table")) {
    const table = box.querySelector("table");
    [...table.tHead.rows[0].cells].forEach((heading, place) =>
      heading.querySelector("button").addEventListener("click", () => sort(table, place, heading)));
    box.querySelector("input")?.addEventListener("input", (event) => filter(table, event.target.value));
    const button = box.querySelector("button.csv");
    button.addEventListener("click", () => save(button.dataset.name, csv(table)));
  }
  for (const button of document.querySelectorAll("button.copy"))
    button.addEventListener("click", () => copy(button));
  document.getElementById("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
})();
