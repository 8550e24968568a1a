// Sort a table by a click on its heading; unknown values stay last.
document.querySelectorAll("th button").forEach((button) => {
  button.addEventListener("click", () => {
    const heading = button.closest("th"), row = heading.parentElement, body = heading.closest("table").tBodies[0];
    const column = [...row.children].indexOf(heading);
    const down = heading.getAttribute("aria-sort") === "ascending";
    [...row.children].forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (line) => line.children[column].dataset.value ?? line.children[column].textContent.trim();
    const compare = (a, b) => {
      const x = key(a), y = key(b);
      if (x === "" || y === "") return (x === "") - (y === "");
      const numeric = !isNaN(x) && !isNaN(y);
      return (numeric ? x - y : x.localeCompare(y)) * (down ? -1 : 1);
    };
    [...body.rows].sort(compare).forEach((line) => body.append(line));
  });
});
// What is folded away must still be printed.
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
