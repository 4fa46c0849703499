/* Shows what the form of a schedule would come to while it is filled in. Without this script
   the button "Preview" does the same. */
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const panel = document.getElementById("ts-preview");
  const form = panel && panel.closest("form");
  if (!form) return;
  let timer, asked = 0;

  async function show() {
    const turn = ++asked;
    const answer = await fetch(panel.dataset.url, { method: "POST", body: new FormData(form) });
    const text = answer.ok ? await answer.text() : "";
    if (text && turn === asked) panel.innerHTML = text;
  }
  function soon() {
    clearTimeout(timer);
    timer = setTimeout(() => show().catch(() => {}), 400);
  }
  form.addEventListener("input", soon);
  form.addEventListener("change", soon);
  if (form.elements.recurrence_rule.value || form.elements.frequency.value) soon();
});
