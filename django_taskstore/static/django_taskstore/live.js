/* Refreshes the parts of a page that are marked with data-ts-live. Needs nothing else.

   It rests while the tab is hidden, rows are selected, text is selected in the part, or a
   field in it has the focus, and says so. After an error it waits longer each time. */

"use strict";

(() => {
  const SHORTEST = 2, LONGEST = 60, PATIENCE_MS = 10000, STORED = "ts-refresh-seconds";

  function begin(part, state) {
    const picker = state.querySelector("[data-ts-interval]");
    const age = state.querySelector("[data-ts-age]");
    const news = state.querySelector("[data-ts-news]");
    let tag = "", shownAt = Date.now(), nextAt = 0, wait = 0, isAsking = false, isOver = false;

    const seconds = () => Number(picker.value);
    const say = (text) => { if (news.textContent !== text) news.textContent = text; };

    function isInUse() {
      if (document.querySelector(".action-select:checked")) return true;
      const focused = document.activeElement;
      if (part.contains(focused) && focused.matches("input, select, textarea")) return true;
      const selection = document.getSelection();
      return !selection.isCollapsed && part.contains(selection.anchorNode);
    }

    function replace(text) {
      const fresh = new DOMParser().parseFromString(text, "text/html");
      const open = new Set(Array.from(part.querySelectorAll("details[open][id]"), (one) => one.id));
      const focused = part.contains(document.activeElement) && document.activeElement.getAttribute("href");
      for (const one of fresh.querySelectorAll("details[id]")) one.open = open.has(one.id) || one.open;
      const scrolled = Array.from(part.querySelectorAll("pre"), (one) =>
        one.scrollTop + one.clientHeight >= one.scrollHeight - 4 ? null : one.scrollTop);
      part.replaceChildren(...fresh.body.childNodes);
      part.querySelectorAll("pre").forEach((one, place) => {
        if (place < scrolled.length) one.scrollTop = scrolled[place] ?? one.scrollHeight;
      });
      const again = focused && Array.from(part.querySelectorAll("a[href]")).find(
        (one) => one.getAttribute("href") === focused);
      if (again) again.focus({ preventScroll: true });
    }

    async function ask() {
      isAsking = true;
      const stop = new AbortController();
      const timer = setTimeout(() => stop.abort(), PATIENCE_MS);
      try {
        const answer = await fetch(part.dataset.tsUrl, {
          cache: "no-store",
          credentials: "same-origin",
          headers: tag ? { "If-None-Match": tag } : {},
          redirect: "manual",
          signal: stop.signal,
        });
        if (answer.type === "opaqueredirect" || answer.status === 401 || answer.status === 403) {
          isOver = true;
          say(state.dataset.msgOut);
          return;
        }
        if (answer.status !== 304) {
          if (!answer.ok) throw new Error(String(answer.status));
          const text = await answer.text();
          if (isInUse()) return;
          tag = answer.headers.get("ETag") || "";
          replace(text);
          if (answer.headers.get("X-Taskstore-Ended")) isOver = true;
        }
        shownAt = Date.now();
        wait = 0;
        say("");
      } catch {
        wait = Math.min(LONGEST, Math.max(SHORTEST, wait * 2));
        say(state.dataset.msgLost);
      } finally {
        clearTimeout(timer);
        nextAt = Date.now() + 1000 * (wait || seconds());
        isAsking = false;
      }
    }

    function tick() {
      if (isOver) {
        age.textContent = "";
        return;
      }
      if (!seconds()) {
        age.textContent = state.dataset.msgOff;
        return;
      }
      if (isInUse()) {
        age.textContent = state.dataset.msgPaused;
        return;
      }
      age.textContent = state.dataset.msgFresh.replace("%s", Math.round((Date.now() - shownAt) / 1000));
      if (!document.hidden && !isAsking && Date.now() >= nextAt) ask();
    }

    picker.addEventListener("change", () => {
      localStorage.setItem(STORED, picker.value);
      nextAt = Date.now() + 1000 * seconds();
      tick();
    });
    const stored = localStorage.getItem(STORED);
    if (stored !== null && picker.querySelector(`option[value="${Number(stored)}"]`)) picker.value = Number(stored);
    nextAt = Date.now() + 1000 * Math.max(SHORTEST, seconds());
    state.hidden = false;
    document.addEventListener("visibilitychange", () => { if (!document.hidden) nextAt = 0; });
    setInterval(tick, 1000);
    tick();
  }

  document.addEventListener("DOMContentLoaded", () => {
    const part = document.querySelector("[data-ts-live]");
    const state = document.querySelector("[data-ts-state]");
    if (part && state) begin(part, state);
  });
})();
