"use strict";
(() => {
  const make = (tag, name, text) => {
    const element = document.createElement(tag);
    if (name) element.className = name;
    if (text !== undefined) element.textContent = text;
    return element;
  };

  // ---- conversations: JSON becomes text when its attempt is opened, and never anything but text ----
  const fill = (element, text) => {
    if (typeof text === "string") {
      element.textContent = text;
      return element;
    }
    const [head, cut, tail] = text;
    element.append(head, make("span", "cut", `… ${cut.toLocaleString("en")} characters cut …`), tail);
    return element;
  };
  const written = (text) => {
    if (typeof text !== "string") return text;
    try {
      const found = JSON.parse(text);
      const values = Object.values(found);
      return values.length === 1 && typeof values[0] === "string" ? values[0] : text;
    } catch {
      return text;
    }
  };
  const use = (call, ofTest) => {
    const box = make("div", "use");
    const asked = make("pre", "call");
    asked.dataset.tool = call.f;
    box.append(fill(asked, ofTest ? call.a : written(call.a)));
    if (call.o !== undefined && call.o !== "") box.append(fill(make("pre"), call.o));
    const told = [];
    if (call.s) told.push(`exit ${call.s}`);
    if (call.d !== undefined) told.push(`${call.d} s`);
    if (told.length) box.append(make("p", call.s ? "said bad" : "said", told.join(" · ")));
    if (call.e !== undefined) {
      const failure = make("p", "said bad", `tool-call failure: ${call.e}`);
      box.append(failure);
      if (call.m !== undefined) box.append(fill(make("pre", "bad"), call.m));
    }
    return box;
  };
  const talk = (messages) => {
    const list = make("ol", "talk");
    let tries = 1;
    for (const message of messages) {
      const row = make("li");
      if (typeof message === "number") {
        row.append(make("span", "who"), make("span", "cut", `… ${message.toLocaleString("en")} messages left out …`));
        list.append(row);
        continue;
      }
      const who = make("span", "who", message.w ? `${message.r}, ${message.w}` : message.r);
      if (message.n > tries) {
        tries = message.n;
        who.append(make("span", "new-try", `try ${tries}`));
      }
      const body = make("div");
      if (message.t !== undefined) body.append(fill(make("div", "thought"), message.t));
      if (message.x !== undefined) {
        const text = fill(make("div", message.r === "error" ? "text bad" : "text"), message.x);
        if (message.r === "system") {
          const fold = make("details");
          fold.append(make("summary", "muted", "instructions"), text);
          body.append(fold);
        } else body.append(text);
      }
      for (const call of message.c || []) body.append(use(call, message.r === "test"));
      row.append(who, body);
      list.append(row);
    }
    return list;
  };
  const unfold = (attempt) => {
    const data = attempt.querySelector(":scope > .body > script[type='application/json']");
    if (data) data.replaceWith(talk(JSON.parse(data.textContent)));
  };
  document.addEventListener("toggle", (event) => {
    if (event.target.open && event.target.classList.contains("attempt")) unfold(event.target);
  }, true);

  // ---- from a square to its attempt and back ----
  const reveal = (id) => {
    const target = id && document.getElementById(id);
    if (!target) return false;
    for (let at = target; at; at = at.parentElement) if (at instanceof HTMLDetailsElement) at.open = true;
    target.scrollIntoView({ block: "start" });
    const summary = target.querySelector("summary");
    if (summary && target.classList.contains("attempt")) summary.focus({ preventScroll: true });
    return true;
  };
  const here = () => {
    const id = decodeURIComponent(location.hash.slice(1));
    if (/^t\d+c\d+a\d+$/.test(id)) reveal(id);
  };
  addEventListener("hashchange", here);
  document.addEventListener("keydown", (event) => {
    const attempt = event.key === "Escape" && event.target.closest(".attempt");
    const square = attempt && document.getElementById(`g${attempt.id}`);
    if (square) {
      square.focus();
      square.scrollIntoView({ block: "center" });
    }
  });

  // ---- the grid: one stop for Tab, arrows inside of it, and a line that says why ----
  const grid = document.querySelector(".grid");
  const readout = document.getElementById("readout");
  if (grid && readout) {
    const rows = [...grid.tBodies[0].rows].map((row) => [...row.querySelectorAll("a.o")]).filter((row) => row.length);
    let current = null;
    const say = (square) => {
      if (square.title) {
        const task = square.closest("tr").cells[0].textContent.trim();
        const cell = grid.tHead.rows[0].cells[square.closest("td").cellIndex].textContent.trim();
        square.setAttribute("aria-label", `${task}, ${cell}, attempt ${square.title}`);
        square.removeAttribute("title");
      }
      readout.textContent = square.getAttribute("aria-label");
    };
    const settle = (square) => {
      if (current) current.tabIndex = -1;
      current = square;
      square.tabIndex = 0;
    };
    for (const row of rows) for (const square of row) square.tabIndex = -1;
    for (const link of grid.querySelectorAll("tbody th a")) link.tabIndex = -1;
    if (rows.length) settle(rows[0][0]);
    grid.addEventListener("focusin", (event) => {
      const square = event.target.closest("a.o");
      if (!square) return;
      settle(square);
      say(square);
    });
    grid.addEventListener("pointerover", (event) => {
      const square = event.target.closest("a.o");
      if (square) say(square);
    });
    grid.addEventListener("click", (event) => {
      const square = event.target.closest("a.o");
      if (square && location.hash === square.hash) reveal(square.hash.slice(1));
    });
    grid.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !event.target.matches("a.o")) return;
      const y = rows.findIndex((row) => row.includes(event.target));
      const x = rows[y].indexOf(event.target);
      const last = rows.length - 1;
      const place = {
        ArrowLeft: [y, x - 1], ArrowRight: [y, x + 1], ArrowUp: [y - 1, x], ArrowDown: [y + 1, x],
        Home: [y, 0], End: [y, Infinity], PageUp: [y - 10, x], PageDown: [y + 10, x],
      }[event.key];
      if (!place) return;
      event.preventDefault();
      const row = rows[Math.max(0, Math.min(last, place[0]))];
      const square = row[Math.max(0, Math.min(row.length - 1, place[1]))];
      square.focus({ preventScroll: true });
      square.scrollIntoView({ block: "nearest", inline: "nearest" });
    });
  }

  // ---- printing: what did not pass is opened ----
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll(".attempt:not(.passed):not([open])")].slice(0, 200);
    for (const attempt of opened) attempt.open = true;
  });
  addEventListener("afterprint", () => {
    for (const attempt of opened) attempt.open = false;
    opened = [];
  });
  here();
})();
