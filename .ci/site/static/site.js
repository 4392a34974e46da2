// Opened from a disk, a page may not read others: the search then shows titles without excerpts.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// Numbers stay in one line, sentences may take several.
addEventListener("DOMContentLoaded", () => {
  for (const cell of document.querySelectorAll("table :is(td, tbody th)")) {
    if (cell.textContent.length < 20) cell.classList.add("short");
  }
  // printed tables keep their columns, printed code its indentation
  for (const printed of document.querySelectorAll(".cell_output pre")) {
    if (/\S {3,}\S|-{20}|^[-+]?(def|class) /m.test(printed.textContent)) printed.classList.add("columns");
  }
  // what can be scrolled says so until its end is seen
  for (const box of document.querySelectorAll(".pst-scrollable-table-container, .cell_output")) {
    const mark = () => box.classList.toggle(
      "more", box.scrollLeft + box.clientWidth < box.scrollWidth - 1);
    box.addEventListener("scroll", mark);
    new ResizeObserver(mark).observe(box);
  }
});
